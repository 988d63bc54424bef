"""From a network to built stages: model, slice, build, profile, cache, doctor."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import IO, Any

import onnx
import pytest

from dvabatch_cli.config import load_config
from dvabatch_cli.environment import packages
from dvabatch_cli.ground import lay_ground
from dvabatch_cli.workspace import missing_of, stages_of
from slicer import read_manifest
from tests.cli.command import dvabatch, model_config, refused


def test_model_writes_a_network_and_says_what_is_next(tmp_path: Path) -> None:
    done = dvabatch("model", "tiny_resnet", "--input", "3x16x24", "-o", tmp_path / "sub" / "net.onnx")
    assert done.code == 0
    dims = onnx.load(str(tmp_path / "sub" / "net.onnx")).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims][1:] == [3, 16, 24]
    assert done.err.splitlines()[-1].startswith("Next: dvabatch slice ")


def test_model_lists_what_there_is() -> None:
    assert "resnet_152" in dvabatch("model").out
    assert "tiny_resnet" in dvabatch("model", "--json").document()


def test_model_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    assert "did you mean 'tiny_resnet'" in refused(2, "model", "tiny_rasnet", "-o", tmp_path / "x.onnx")
    assert "wanted DxDx" in refused(2, "model", "tiny_resnet", "--input", "3,32", "-o", tmp_path / "x.onnx")
    assert "three channels" in refused(2, "model", "tiny_resnet", "--input", "1x32x32", "-o", tmp_path / "x.onnx")
    assert "Is a directory; check the path" in refused(3, "model", "tiny_resnet", "-o", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_takes_bytes_is_another_file(tmp_path: Path, own_cache: Path) -> None:
    config = str(model_config(tmp_path))
    files = [missing_of(load_config(config, [f"model.input_type={kind}"]))[0] for kind in ("float32", "uint8")]
    assert [file.replace("-uint8", "") for file in files] == [files[0]] * 2
    assert files[0] != files[1]


def test_slice_cuts_and_lists_the_stages(workshop: Path) -> None:
    manifest = read_manifest(workshop / "stages")
    assert len(manifest.stages) == 3
    done = dvabatch(
        "slice", workshop / "model.onnx", "--stages", 2, "--max-batch", 2, "--threads", 1, "--json",
        "-o", workshop / "two",
    )  # fmt: skip
    assert done.err == ""
    stages = done.document()["stages"]
    assert [stage["stage"] for stage in stages] == [0, 1]
    assert all({"nodes", "parameters", "crossing_bytes_per_row", "favored_batch"} <= set(stage) for stage in stages)
    assert all((workshop / "two" / stage["file"]).is_file() for stage in stages)


def test_slice_says_what_the_stages_are(workshop: Path) -> None:
    done = dvabatch(
        "slice", workshop / "model.onnx", "--stages", 1, "--max-batch", 1, "--threads", 1, "--no-verify",
        "-o", workshop / "one",
    )  # fmt: skip
    assert done.code == 0
    for heading in ("nodes", "parameters", "across", "batch 1", "favours"):
        assert heading in done.out
    assert done.err.splitlines()[-1] == f"Next: dvabatch build {workshop / 'one'}"


def test_build_misses_then_hits_and_says_so(workshop: Path, own_cache: Path) -> None:
    first = dvabatch("build", workshop / "stages", "--threads", 1, "--json").document()
    assert list(first) == ["stage 0", "stage 1", "stage 2", "whole model"]
    assert {engine["cache"] for engine in first.values()} == {"miss"}
    second = dvabatch("build", workshop / "stages", "--threads", 1, "--json").document()
    assert {engine["cache"] for engine in second.values()} == {"hit"}
    assert [engine["key"] for engine in first.values()] == [engine["key"] for engine in second.values()]
    assert all(engine["bytes"] > 0 and engine["build_s"] >= 0 for engine in second.values())
    told = dvabatch("build", workshop / "stages", "--threads", 1)
    assert told.out.count("hit") == 4
    assert told.err.count("found in the cache") == 4
    assert own_cache.is_dir()


@pytest.mark.parametrize("name", ["stage_1.onnx", "model.onnx"])
@pytest.mark.parametrize("cached", [True, False])
def test_build_trusts_no_file_but_the_one_that_was_sliced(
    workshop: Path, tmp_path: Path, own_cache: Path, cached: bool, name: str
) -> None:
    """An engine of that name in the cache is no excuse: it would not be the file's that lies here."""
    folder = tmp_path / "stages"
    shutil.copytree(workshop / "stages", folder)
    if cached:
        assert dvabatch("build", folder, "--threads", 1).code == 0
    (folder / name).write_bytes((folder / "stage_0.onnx").read_bytes())
    message = refused(2, "build", folder, "--threads", 1)
    assert f"{name} is not the file that was sliced" in message
    assert "slice the model again" in message


def test_stages_of_a_config_that_were_changed_are_made_anew(tmp_path: Path, own_cache: Path) -> None:
    config, said = load_config(str(model_config(tmp_path))), list[str]()
    stages = stages_of(config, said.append)
    folder = stages.folder
    made = {file.name: file.read_bytes() for file in folder.glob("*.onnx")}
    (folder / "stage_1.onnx").write_bytes(b"")
    said.clear()
    assert stages_of(config, said.append).folder == folder
    assert said[0].startswith("slicing ")
    assert (folder / "stage_1.onnx").stat().st_size > 0
    said.clear()
    found = stages_of(config, said.append)
    assert (found.folder, found.manifest) == (folder, read_manifest(folder))
    assert said == []
    assert made.keys() == {file.name for file in folder.glob("*.onnx")}


def test_a_command_reads_the_files_of_its_stages_once(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To check them, and to open no engine: those are in the cache. Of a large model each time takes a second."""
    config, opened = load_config(str(model_config(tmp_path))), Counter[str]()
    folder = lay_ground(config, lambda _: None).prepared.folder  # type: ignore[union-attr]

    def counted(path: Path, *args: Any, **named: Any) -> IO[Any]:
        opened[path.name] += path.parent == folder
        return open_path(path, *args, **named)

    open_path = Path.open
    monkeypatch.setattr(Path, "open", counted)
    lay_ground(config, lambda _: None)
    files = {file.name for file in folder.glob("*.onnx")} | {"stages.json"}
    assert {name: opened[name] for name in files} == dict.fromkeys(files, 1)


def test_profile_measures_once_and_writes_a_table_that_simulate_takes(workshop: Path, tmp_path: Path) -> None:
    words = ("profile", workshop / "stages", "--quick", "--max-batch", 2, "--threads", 1)
    first = dvabatch(*words, "--executors-per-stage", 2, "-o", tmp_path / "table.json", "--json").document()
    assert len(first["stages"]) == 3
    assert {"launch_us", "boundary_us", "copy_us_per_row", "whole", "slicing_tax"} <= set(first)
    again = dvabatch(*words, "--executors-per-stage", 2, "--plot", tmp_path / "plots")
    drawn = [tmp_path / "plots" / f"{name}.{kind}" for name in ("favored", "tax") for kind in ("svg", "png")]
    assert all(file.is_file() and f"drew {file}" in again.err for file in drawn)
    assert "measured before; --again measures anew" in " ".join(again.out.split())
    config = {
        "name": "of_a_profile",
        "slicing": {"stages": 3},
        "engine": {"backend": "table", "table": "table.json", "max_batch": 2},
        "policies": [{"scheduler_type": "NORMAL"}],
        "baselines": [],
        "load": {"process": "poisson", "utilization": 0.3, "num_requests": 50},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert dvabatch("simulate", tmp_path / "config.json", "-o", tmp_path / "out").code == 0


def test_cache_lists_and_clears(workshop: Path, own_cache: Path) -> None:
    assert dvabatch("cache", "list", "--json").document() == []
    dvabatch("build", workshop / "stages", "--threads", 1)
    (own_cache / "models").mkdir()
    (own_cache / "models" / "net.onnx").write_bytes(b"12345")
    entries = dvabatch("cache", "list", "--json").document()
    assert sorted(entry["kind"] for entry in entries) == ["engine"] * 4 + ["models"]
    assert "net.onnx" in dvabatch("cache", "list").out
    removed = dvabatch("cache", "clear", "--engines-only", "--json").document()
    assert removed == {"removed": 4, "bytes": sum(entry["bytes"] for entry in entries) - 5}
    assert [entry["name"] for entry in dvabatch("cache", "list", "--json").document()] == ["net.onnx"]
    assert "removed 1 entries" in dvabatch("cache", "clear").out
    assert dvabatch("cache", "list", "--json").document() == []


def test_doctor_says_what_is_there_and_what_follows(own_cache: Path) -> None:
    done = dvabatch("doctor", "--no-pacing", "--json")
    findings = {finding["what"]: finding for finding in done.document()["findings"]}
    assert findings["onnxruntime"]["fine"]
    assert all(finding["fine"] or finding["follows"] for finding in findings.values())
    missing = [finding for finding in findings.values() if finding["needed"] and not finding["fine"]]
    assert done.code == (3 if missing else 0)
    assert "doctor" in dvabatch("doctor", "--no-pacing").out


def test_doctor_names_what_bench_needs_and_does_not_find(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {**packages(), "onnxruntime": None}
    monkeypatch.setattr("dvabatch_cli.doctor.packages", lambda: found)
    done = dvabatch("doctor", "--no-pacing", "--json")
    assert done.code == 3
    lacking = [finding for finding in done.document()["findings"] if finding["what"] == "onnxruntime"]
    assert [(each["found"], each["follows"]) for each in lacking] == [("missing", "pip install onnxruntime")]


def test_doctor_works_with_a_cache_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVABATCH_CACHE", "not/there/[/yet]")
    assert "[/yet]" in "".join(dvabatch("doctor", "--no-pacing").out.split())
    assert dvabatch("cache", "list").code == 0
