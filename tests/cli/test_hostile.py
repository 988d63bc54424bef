"""Files that a user is given to open, made by somebody who means harm: each is refused in one message, at once, and nothing of
it is run, read from elsewhere, or blown up in memory. (Damage at random: tests/fuzz/.)"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from dvabatch.loadgen import LoadFileError
from dvabatch.loadgen.npz import read_npz
from dvabatch.reporting.batches_over_time import launches_of
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.records import read_queries
from dvabatch.runtime import trace
from engines.cache import EngineCache
from engines.errors import EngineError
from engines.tensorrt import build as tensorrt_build
from slicer import SliceError
from slicer.load import content_sha256, sha256_of
from tests.cli.command import NORMAL, dvabatch, model_config, refused, report_of, table_config
from tests.slicer.test_external import heavy, saved

MIB = 1 << 20


@contextmanager
def little_memory(most_bytes: int = 16 * MIB) -> Iterator[None]:
    """What is done inside never holds more than this."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most_bytes
    finally:
        tracemalloc.stop()


class Bomb:
    """A pickle that makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._folder),)


# Configs


@pytest.mark.parametrize("name", ["../evil", "/evil", "..", ".evil", "a/b", "a\\b", "-o", ""])
def test_a_config_names_no_folder_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    config = table_config(tmp_path / "deep", name=name)
    before = sorted(tmp_path.rglob("*"))
    assert "wanted a plain folder name" in refused(2, "simulate", config)
    assert sorted(tmp_path.rglob("*")) == before


def test_names_of_policies_make_no_path(tmp_path: Path) -> None:
    names = ["../../evil", "/evil", "a/b"]
    (tmp_path / "deep").mkdir()
    config = table_config(tmp_path / "deep", policies=[{**NORMAL, "name": name} for name in names])
    assert dvabatch("simulate", config, "-o", tmp_path / "deep" / "out", "--trace").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"out", "config.json", "table.json"}
    assert len(list((tmp_path / "deep" / "out" / "traces").iterdir())) == 3


@pytest.mark.parametrize("path", ["/dev/zero", "pipe", ".", "\0", "x" * 300])
def test_a_config_names_files_and_nothing_that_never_ends(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    config = table_config(tmp_path)
    raw = json.loads(config.read_text())
    raw["engine"]["table"] = path
    config.write_text(json.dumps(raw))
    assert "engine.table" in refused(2, "simulate", config, "-o", tmp_path / "out")


# Latency tables


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"stages": [{"latency_ms": {' + ",".join(f'"{n}":1' for n in range(1, 400_000)) + "}}]}", "at most 4 MiB"),
        ('{"stages": [{"latency_ms": {' + ",".join(f'"{n}":1' for n in range(1, 70_000)) + "}}]}", "at most 65536"),
        ('{"stages": [{"latency_ms": {"1": 1, "1000000000": 2}}]}', "at most 65536"),
        ('{"stages": [' + ",".join(['{"latency_ms":{"65536":1}}'] * 9000) + "]}", "take fewer stages"),
        ('{"stages": [{"latency_ms": {"1": 1e307}}]}', "give milliseconds"),
        ("[" * 100_000, "table.json"),
    ],
    ids=["4 MiB", "sizes", "one size", "stages", "long", "deep"],
)
def test_a_table_that_is_a_bomb(tmp_path: Path, text: str, said: str) -> None:
    config = table_config(tmp_path)
    (tmp_path / "table.json").write_text(text)
    with little_memory(64 * MIB):
        assert said in refused(2, "simulate", config, "-o", tmp_path / "out")


def test_a_profile_in_a_folder_of_stages_that_is_a_bomb_is_measured_again(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = shutil.copytree(workshop / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("profile-*"))
    measure = ("profile", stages, "--max-batch", 2, "--threads", 1, "--quick")
    assert dvabatch(*measure).code == 0
    (kept,) = stages.glob("profile-*.json")
    for bomb in (
        "[" * 100_000,
        '{"stages": [{"latency_ms": {"1": 1, "1e9": 2}}] , "slicing_tax": {}}',
        " " * (5 * MIB),
    ):
        kept.write_text(bomb)
        done = dvabatch(*measure)
        assert done.code == 0, done.err
        assert "slicing_tax" in json.loads(kept.read_text())


# Manifests and models


@pytest.fixture
def stages(workshop: Path, tmp_path: Path) -> Path:
    return shutil.copytree(workshop / "stages", tmp_path / "given" / "stages")


def rewrite(stages: Path, change: Callable[[dict[str, Any]], None]) -> None:
    raw = json.loads((stages / "stages.json").read_text())
    change(raw)
    (stages / "stages.json").write_text(json.dumps(raw))


@pytest.mark.parametrize("command", ["build", "profile"])
@pytest.mark.parametrize("way", ["up", "absolute", "link", "linked weights"])
def test_a_manifest_leads_nowhere_else(stages: Path, own_cache: Path, command: str, way: str) -> None:
    """The digests are right: whoever makes a folder can make them so."""
    secret = stages.parent / "secret.onnx"
    shutil.copyfile(stages / "stage_1.onnx", secret)
    if way == "link":
        (stages / "stage_1.onnx").unlink()
        (stages / "stage_1.onnx").symlink_to("../secret.onnx")
    elif way == "linked weights":
        (stages / "weights").symlink_to("../secret.onnx")
        rewrite(stages, lambda raw: raw.update(external={"weights": sha256_of(secret)}))
    else:
        file = "../secret.onnx" if way == "up" else str(secret)
        rewrite(stages, lambda raw: raw["stages"][1].update(file=file))
    message = refused(2, command, stages)
    assert ("no plain file" in message) == ("link" in way)
    assert not own_cache.exists()


@pytest.mark.parametrize("place", ["../secret", "absolute", "stage_0.onnx"])
def test_a_stage_keeps_no_weights_elsewhere(stages: Path, own_cache: Path, place: str) -> None:
    secret = stages.parent / "secret"
    model = onnx.load(stages / "stage_1.onnx")
    onnx.save(model, stages / "stage_1.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    (stages / "weights").rename(secret)
    model = onnx.load(stages / "stage_1.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = str(secret) if place == "absolute" else place
    onnx.save(model, stages / "stage_1.onnx")
    rewrite(stages, lambda raw: raw["stages"][1].update(sha256=sha256_of(stages / "stage_1.onnx")))
    assert "wanted one of the manifest's files" in refused(2, "build", stages)
    assert not own_cache.exists()


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname", "link"])
def test_a_model_keeps_no_weights_elsewhere(tmp_path: Path, own_cache: Path, place: str) -> None:
    source = saved(tmp_path / "given", heavy(1), "tanh0")
    (source.parent / "net.weights").rename(tmp_path / "secret")
    (source.parent / "link").symlink_to(tmp_path / "secret")
    model = onnx.load(source, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place
    onnx.save(model, source)
    said = "which is a link" if place == "link" else "wanted a file beside it"
    assert said in refused(2, "slice", source, "--stages", 1, "-o", tmp_path / "out")
    with pytest.raises(SliceError, match=said):
        content_sha256(source)
    config = model_config(tmp_path, model={"onnx": "given/net.onnx"}, slicing={"stages": 1}, policies=[NORMAL])
    assert said in refused(2, "bench", config, "-o", tmp_path / "results")


@pytest.mark.parametrize(
    "said", ["../secret", "{tmp}/secret", "sub/../../secret", "./../secret", "sub/../../given/../secret"]
)
def test_a_config_leads_to_no_file_outside_its_folder_unless_it_is_typed(tmp_path: Path, said: str) -> None:
    """Each of the four kinds of files that a config names."""
    (tmp_path / "given" / "sub").mkdir(parents=True)
    text = said.format(tmp=tmp_path)
    (tmp_path / "secret").write_text("{}")
    named: dict[str, dict[str, Any]] = {
        "engine.table": {"engine": {"backend": "table", "table": text}},
        "model.onnx": {"model": {"onnx": text}},
        "inputs.x.file": {"inputs": {"x": {"file": text}}},
        "load.file": {"load": {"process": "replay", "file": text}},
    }
    for path, sections in named.items():
        config = table_config(tmp_path / "given", **sections)
        message = " ".join(refused(2, "simulate", config, "-o", tmp_path / "out").split())
        assert f"{path}: got " in message
        assert "wanted a path that stays in the config's folder" in message
        assert f"--set {path}={text}" in message
    table = (tmp_path / "given" / "table.json").rename(tmp_path / "secret")
    config = table_config(tmp_path / "given")
    assert (
        dvabatch("simulate", config, "--set", f"engine.table={said.format(tmp=tmp_path)}", "-o", tmp_path / "out").code
        == 0
    )
    assert table.is_file()


def test_a_model_that_is_itself_a_link_is_what_it_links_to(tmp_path: Path, own_cache: Path) -> None:
    """That path is the user's own."""
    heavy(2).write(tmp_path / "blob", "tanh1")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "model.onnx").symlink_to("../blob")
    done = dvabatch("slice", tmp_path / "given" / "model.onnx", "--stages", 2, "--threads", 1, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert not (tmp_path / "out" / "model.onnx").is_symlink()


# Arrays


def test_no_pickle_is_run(tmp_path: Path) -> None:
    made, file = tmp_path / "made", tmp_path / "x.npz"
    np.savez(file, x=np.array([Bomb(made)], dtype=object))
    with pytest.raises(LoadFileError, match=r"not an \.npz of plain arrays"):
        read_npz(file)
    file.write_bytes(pickle.dumps(Bomb(made)))
    with pytest.raises(LoadFileError, match=r"not an \.npz of plain arrays"):
        read_npz(file)
    assert not made.exists()


def test_arrays_that_unpack_to_more_than_there_may_be_are_refused_unread(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (64 * MIB,)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as entry:
        entry.write(header.getvalue())
        for _ in range(64):
            entry.write(bytes(MIB))
    assert (tmp_path / "x.npz").stat().st_size < MIB
    with little_memory(), pytest.raises(LoadFileError, match=r"unpacks to 67,1.* bytes, wanted at most 33,554,432"):
        read_npz(tmp_path / "x.npz", 32 * MIB)
    assert len(read_npz(tmp_path / "x.npz")["x"]) == 64 * MIB


# Traces, records and engines


def traced(folder: Path) -> Path:
    out = folder / "out"
    config = table_config(folder, policies=[NORMAL])
    assert dvabatch("simulate", config, "--trace", "-o", out).code == 0
    (file,) = (out / "traces").iterdir()
    return file


@pytest.mark.parametrize("command", ["trace", "explain"])
@pytest.mark.parametrize("line", [0, 3], ids=["header", "call"])
def test_a_line_without_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, line: int
) -> None:
    file = traced(tmp_path)
    for module in ("dvabatch.runtime.trace", "dvabatch_cli.recording"):
        monkeypatch.setattr(f"{module}.MAX_LINE_CHARS", MIB)
    lines = file.read_text().splitlines(keepends=True)
    lines[line] = '{"now_ns":' + " " * (48 * MIB) + "\n"
    file.write_text("".join(lines))
    words = (
        (command, tmp_path / "out", 3) if command == "explain" else (command, tmp_path / "out", "-o", tmp_path / "x")
    )
    with little_memory():
        message = refused(2, *words)
    assert "no header of a trace" in message if line == 0 else "longer than 1,048,576 characters" in message
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("instant", [2**62, 10**400, -1])
def test_instants_beyond_the_clock(tmp_path: Path, instant: int) -> None:
    file = traced(tmp_path)
    lines = file.read_text().splitlines()
    call = json.loads(lines[-1])
    lines[-1] = json.dumps({**call, "now_ns": instant}, separators=(",", ":"))
    file.write_text("\n".join(lines) + "\n")
    assert "wanted whole nanoseconds from 0 on" in refused(2, "trace", tmp_path / "out", "-o", tmp_path / "x")
    with pytest.raises(trace.TraceError, match="is no event"):
        trace.decode_event(["QueryArrived", [0, instant, None, None]])
    arrival = json.dumps({"now_ns": 0, "events": [["QueryArrived", [0, instant, None, None]]], "commands": []})
    with little_memory(), pytest.raises(ReportError, match="line 1 of the trace is damaged"):
        launches_of([arrival])


def test_a_record_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "x.queries.jsonl"
    with file.open("wb") as stream:
        stream.truncate(64 * MIB)
    with little_memory(), pytest.raises(ReportError, match="a line is too long"):
        read_queries(file)


def test_a_report_that_is_opened_runs_nothing_and_leads_nowhere(tmp_path: Path) -> None:
    """Texts of a report are texts: what its policies and its command are called makes no path."""
    traced(tmp_path)
    out = tmp_path / "out"
    report = report_of(out)
    report["runs"][0]["policy"]["name"] = "../../../evil"
    (out / "report.json").write_text(json.dumps(report))
    before = sorted(tmp_path.rglob("*"))
    assert "holds no traces" in refused(2, "trace", out, "-o", tmp_path / "x")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_engine_that_was_changed_is_built_again(tmp_path: Path) -> None:
    """Its digest is checked each time, and what is not in its list makes it another engine."""
    cache = EngineCache(tmp_path)

    def make(folder: Path) -> None:
        (folder / "engine.plan").write_bytes(b"made here")

    folder = cache.fetch("ab" * 32, make, {}).folder
    evil = tmp_path / "evil"
    evil.write_bytes(b"made there")

    def swap() -> None:
        (folder / "engine.plan").unlink()
        (folder / "engine.plan").symlink_to(evil)

    changes = (swap, lambda: (folder / "more.so").write_bytes(b"x"), lambda: (folder / "engine.plan").write_bytes(b"y"))
    for change in changes:
        assert cache.fetch("ab" * 32, make, {}).hit
        change()
        again = cache.fetch("ab" * 32, make, {})
        assert not again.hit
        assert [(file.name, file.is_symlink()) for file in sorted(again.folder.iterdir())] == [
            ("engine.plan", False), ("meta.json", False)
        ]  # fmt: skip
        assert (again.folder / "engine.plan").read_bytes() == b"made here"
    assert evil.read_bytes() == b"made there"


def test_a_cache_of_timings_that_is_something_else_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_build, "_MOST_TIMINGS", MIB)
    with (tmp_path / "timings").open("wb") as file:
        file.truncate(64 * MIB)
    with (
        little_memory(),
        pytest.raises(EngineError, match="has more than 1048576 bytes, wanted a cache of kernel timings"),
    ):
        tensorrt_build._timings(tmp_path / "timings")
