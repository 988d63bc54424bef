"""Bad input: one clear message, the right exit code, no traceback, and nothing measured is lost."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dvabatch.reporting.lock import ResultsLock
from dvabatch.runtime.device_launcher import ROOM_FOR_GRAPHS
from dvabatch_cli.errors import CommandError
from dvabatch_cli.gpu import prepare_on
from dvabatch_cli.workspace import Prepared
from engines.tensorrt.options import TensorRTOptions
from slicer import CheckedStages
from tests.cli.command import (
    LOAD,
    NORMAL,
    TABLE,
    dvabatch,
    ended_well,
    model_config,
    refused,
    report_of,
    table_config,
)


@pytest.mark.parametrize("command", ["bench", "simulate"])
def test_a_missing_config(tmp_path: Path, command: str) -> None:
    assert "no such file" in refused(2, command, tmp_path / "none.json")
    assert "did you mean" in refused(2, command, "resnet_152_05.json")


@pytest.mark.parametrize("words", [("slice", "none.onnx"), ("build", "none"), ("profile", "none"), ("plot", "none")])
def test_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    assert "none" in refused(2, *words)


def test_a_config_whose_files_are_missing(tmp_path: Path) -> None:
    config = table_config(tmp_path)
    (tmp_path / "table.json").unlink()
    assert "table.json" in refused(2, "bench", config, "-o", tmp_path / "out")
    config = model_config(tmp_path, model={"onnx": "none.onnx"})
    assert "none.onnx" in refused(2, "bench", config, "-o", tmp_path / "out")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_model(workshop: Path, tmp_path: Path, share: float, capfd: pytest.CaptureFixture[str]) -> None:
    whole = (workshop / "model.onnx").read_bytes()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(whole[: int(share * len(whole))])
    assert "broken.onnx" in refused(2, "slice", broken, "-o", tmp_path / "stages")
    assert not (tmp_path / "stages" / "stages.json").exists()
    config = model_config(tmp_path, model={"onnx": "broken.onnx"})
    assert "broken.onnx" in refused(2, "bench", config, "-o", tmp_path / "out")
    assert capfd.readouterr().err == ""  # no library says more beside us


def test_a_truncated_stage(workshop: Path, own_cache: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages"
    stages.mkdir()
    for file in (workshop / "stages").glob("*.*"):
        (stages / file.name).write_bytes(file.read_bytes())
    stage = stages / "stage_1.onnx"
    stage.write_bytes(stage.read_bytes()[:-100])
    assert "stage_1.onnx" in refused(2, "build", stages)


def _coupled(file: Path) -> Path:
    """Every row answers with the mean of all rows."""
    rows = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 4], np.eye(4, dtype=np.float32).ravel().tolist())
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="widen"),
        helper.make_node("ReduceMean", ["h"], ["m"], name="blend_rows", axes=[0], keepdims=1),
        helper.make_node("Sub", ["h", "m"], ["y"], name="centre"),
    ]
    graph = helper.make_graph(nodes, "coupled", [rows], [answer], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(file))
    return file


def test_a_model_whose_rows_depend_on_each_other(tmp_path: Path) -> None:
    message = refused(2, "slice", _coupled(tmp_path / "coupled.onnx"), "--stages", 1, "-o", tmp_path / "stages")
    assert "blend_rows" in message
    config = model_config(tmp_path, model={"onnx": "coupled.onnx"}, slicing={"stages": 1}, policies=[NORMAL])
    assert "blend_rows" in refused(2, "bench", config, "-o", tmp_path / "out")


def test_too_many_stages(workshop: Path, tmp_path: Path) -> None:
    message = refused(2, "slice", workshop / "model.onnx", "--stages", 200, "--threads", 1, "-o", tmp_path / "stages")
    assert "200" in message
    assert "stages" in message
    assert not (tmp_path / "stages" / "stages.json").exists()
    config = model_config(tmp_path, slicing={"stages": 250})
    assert "250" in refused(2, "bench", config, "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("shapes", "said"), [("input:2x3x32x32", "wanted 1"), ("input:1x0x3", "positive sizes"), ("input=1", "is no shape")]
)
def test_an_impossible_shape(workshop: Path, shapes: str, said: str) -> None:
    assert said in refused(2, "slice", workshop / "model.onnx", "--shapes", shapes)


Damage = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda raw: raw["load"].update(request_rates=5), "request_rate"),  # an unknown key, the nearest known
        (lambda raw: raw["engine"].update(max_batch="eight"), '"eight"'),
        (lambda raw: raw["load"].update(request_rate=-5), "-5"),
        (lambda raw: raw["policies"].append({"scheduler_type": "LOAD_DWA"}), "LOAD_DVA"),
        (lambda raw: raw.update(policies=[]), "policies"),
        (lambda raw: raw.update(slicing={"stages": 3}), "slicing.stages"),
        (lambda raw: raw["engine"].update(max_batch=9), "engine.max_batch"),
    ],
    ids=["unknown-key", "wrong-type", "negative-rate", "unknown-policy", "no-policy", "other-stages", "past-the-table"],
)
@pytest.mark.parametrize("command", ["bench", "simulate"])
def test_an_impossible_config(tmp_path: Path, command: str, damage: Damage, said: str) -> None:
    config = table_config(tmp_path)
    raw = json.loads(config.read_text())
    damage(raw)
    config.write_text(json.dumps(raw))
    message = refused(2, command, config, "-o", tmp_path / "out")
    assert said in message
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_value_of_the_line_that_is_impossible(tmp_path: Path) -> None:
    message = refused(2, "bench", table_config(tmp_path), "--set", "load.request_rate=-3")
    assert "--set load.request_rate=-3" in message
    assert "=" in refused(2, "bench", table_config(tmp_path), "--set", "load.request_rate")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "table.json"), ("[1]", "wanted an object"), ('{"stages": []}', "'stages' must be a list of one or more")],
)
def test_a_table_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    config = table_config(tmp_path)
    (tmp_path / "table.json").write_text(text)
    assert said in refused(2, "simulate", config, "-o", tmp_path / "out")


def test_a_policy_name_that_reads_like_markup(tmp_path: Path) -> None:
    config = table_config(tmp_path, policies=[{**NORMAL, "name": "[/red]"}], table={**TABLE, "name": "[/x]"})
    done = dvabatch("simulate", config, "-o", tmp_path / "out")
    assert done.code == 0
    assert "[/red]" in done.out


@pytest.mark.parametrize("command", ["build", "profile"])
def test_a_backend_that_is_not_there(workshop: Path, command: str) -> None:
    message = refused(3, command, workshop / "stages", "--backend", "tensorrt")
    assert "pip install 'dvabatch[tensorrt]'" in message
    assert "wanted one of auto, onnxruntime, tensorrt" in refused(2, command, workshop / "stages", "--backend", "x")


def test_shapes_of_an_input_that_no_stage_reads(workshop: Path) -> None:
    message = refused(2, "build", workshop / "stages", "--min-shapes", "nosuch:1x3", "--max-shapes", "nosuch:4x3")
    assert "name 'nosuch', which no stage reads; wanted one of " in message


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("build", ("--workspace", "8")),
        ("build", ("--timing-cache", "t")),
        ("build", ("--small-batch", "2")),
        ("build", ("--builder-optimization-level", "5")),
        ("profile", ("--workspace", "8")),
        ("profile", ("--small-batch", "2")),
        ("profile", ("--builder-optimization-level", "5")),
    ],
)
def test_what_only_tensorrt_knows_is_not_passed_over(workshop: Path, command: str, words: tuple[str, str]) -> None:
    message = refused(2, command, workshop / "stages", "--backend", "onnxruntime", *words)
    assert f"{words[0]} came, for which the backend tensorrt is needed; leave it out on onnxruntime" in message


@pytest.mark.parametrize("command", ["build", "profile"])
def test_a_small_batch_leaves_larger_ones(workshop: Path, command: str) -> None:
    message = refused(2, command, workshop / "stages", "--small-batch", "4", "--max-batch", "4")
    assert "--small-batch 4 came, wanted less than --max-batch 4" in message


def test_small_batches_of_shapes_that_are_given_are_refused(workshop: Path) -> None:
    message = refused(2, "build", workshop / "stages", "--small-batch", "2", "--opt-shapes", "input:4x3x32x32")
    assert "--small-batch 2 and shapes of input came; wanted one of them" in message


def test_graphs_that_nobody_captures_cannot_be_left_out(workshop: Path) -> None:
    message = refused(2, "profile", workshop / "stages", "--backend", "onnxruntime", "--no-cuda-graph")
    assert "--no-cuda-graph came, for which the backend tensorrt is needed; leave it out on onnxruntime" in message


@pytest.mark.parametrize(("words", "graphs"), [((), ROOM_FOR_GRAPHS), (("--no-cuda-graph",), 0)])
def test_a_profile_without_graphs_is_one_of_engines_without_graphs(
    workshop: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], graphs: int
) -> None:
    asked: list[int] = []

    def prepare(*_: Any, graphs: int, **__: Any) -> None:
        asked.append(graphs)
        raise CommandError("that is all")

    monkeypatch.setattr("dvabatch_cli.profile.backend_of", lambda *_: "tensorrt")
    monkeypatch.setattr("dvabatch_cli.profile.prepare_on", prepare)
    assert "that is all" in refused(2, "profile", workshop / "stages", *words)
    assert asked == [graphs]


def test_a_profile_is_of_engines_as_they_were_asked_for(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TensorRTOptions] = []

    def prepare(_chosen: str, _stages: object, options: TensorRTOptions, **_: Any) -> None:
        asked.append(options)
        raise CommandError("that is all")

    monkeypatch.setattr("dvabatch_cli.profile.backend_of", lambda *_: "tensorrt")
    monkeypatch.setattr("dvabatch_cli.profile.prepare_on", prepare)
    words = ("--precision", "fp16", "--builder-optimization-level", "5", "--small-batch", "2", "--workspace", "8")
    assert "that is all" in refused(2, "profile", workshop / "stages", *words)
    assert asked == [TensorRTOptions("fp16", level=5, workspace_bytes=8 << 20, small_batch=2)]


def test_what_was_asked_of_a_build_is_asked_of_the_profile_that_follows(
    workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = dvabatch("build", workshop / "stages", "--backend", "onnxruntime", "--max-batch", 4)
    assert done.err.rstrip().endswith(f"profile {workshop / 'stages'} --backend onnxruntime --max-batch 4")

    def prepare(_chosen: str, stages: CheckedStages, _options: TensorRTOptions, **more: Any) -> Prepared:
        return prepare_on("onnxruntime", stages, TensorRTOptions(), **more)

    monkeypatch.setattr("dvabatch_cli.build.backend_of", lambda *_: "tensorrt")
    monkeypatch.setattr("dvabatch_cli.build.prepare_on", prepare)
    words = ("--builder-optimization-level", "5", "--small-batch", "2", "--workspace", "8")
    done = dvabatch("build", workshop / "stages", *words)
    assert done.err.rstrip().endswith(f"profile {workshop / 'stages'} {' '.join(words)}")


def test_auto_says_why_it_is_not_tensorrt(workshop: Path) -> None:
    done = dvabatch("build", workshop / "stages")
    assert done.code == 0
    assert done.err.rstrip().endswith(f"Next: dvabatch profile {workshop / 'stages'}")
    (line,) = [line for line in done.err.splitlines() if line.startswith("backend ")]
    assert line.startswith("backend onnxruntime, not tensorrt: ")
    assert "pip install 'dvabatch[tensorrt]'" in line


def test_a_bench_on_a_backend_that_is_not_there(workshop: Path, tmp_path: Path) -> None:
    config = model_config(tmp_path, engine={"backend": "tensorrt", "max_batch": 8})
    assert "pip install 'dvabatch[tensorrt]'" in refused(3, "bench", config, "-o", tmp_path / "out")


@pytest.mark.parametrize("command", ["bench", "simulate"])
def test_two_benches_on_one_results_folder(tmp_path: Path, command: str) -> None:
    config, out = table_config(tmp_path), tmp_path / "out"
    dvabatch("simulate", config, "-o", out)
    before = (out / "report.json").read_bytes()
    with ResultsLock(out):
        message = refused(2, command, config, "-o", out)
    assert f"another bench (pid {os.getpid()})" in message
    assert "choose another folder with -o" in message
    assert (out / "report.json").read_bytes() == before
    assert dvabatch("simulate", config, "-o", out, "--resume").code == 0


def test_resuming_on_another_table_under_the_same_config(tmp_path: Path) -> None:
    """The config names the table; points on the one and on the other are not mixed."""
    config, out, table = table_config(tmp_path), tmp_path / "out", tmp_path / "table.json"
    dvabatch("simulate", config, "-o", out)
    kept = {file.name: file.read_bytes() for file in (out / "points").iterdir()}
    text = table.read_text()
    table.write_text(text.replace("0.2", "0.25", 1))
    message = refused(2, "simulate", config, "-o", out, "--resume")
    assert f"{out} holds points measured on another latency table than config small stands on now" in " ".join(
        message.split()
    )
    assert {file.name: file.read_bytes() for file in (out / "points").iterdir()} == kept
    table.write_text(f"  {text}\n")  # the same table, written otherwise
    assert dvabatch("simulate", config, "-o", out, "--resume").code == 0
    table.write_text(text.replace("0.2", "0.25", 1))
    assert dvabatch("simulate", config, "-o", out).code == 0  # anew, on the other table
    assert dvabatch("simulate", config, "-o", out, "--resume").code == 0


def test_resuming_with_other_stages_or_another_profile_under_the_same_config(workshop: Path, tmp_path: Path) -> None:
    """The model is cut and timed; what the cache then holds may not be what the points were measured on."""
    config, out = model_config(tmp_path, policies=[NORMAL]), tmp_path / "out"
    assert dvabatch("simulate", config, "-o", out).code == 0
    assert dvabatch("simulate", config, "-o", out, "--resume").code == 0
    mark = out / "points" / ".config.json"
    before = json.loads(mark.read_text())
    assert len(before["stages"]) == 3
    for changed, other, told in (
        ("stages", ["0" * 64] * 3, "other stages"), ("profile", "0" * 64, "another profile"),
    ):  # fmt: skip
        mark.write_text(json.dumps({**before, changed: other}))
        message = refused(2, "simulate", config, "-o", out, "--resume")
        assert f"holds points measured on {told} than config tiny stands on now" in " ".join(message.split())
    mark.write_text(json.dumps({name: before[name] for name in ("config", "simulated")}))  # it does not say
    message = refused(2, "simulate", config, "-o", out, "--resume")
    assert "other stages and another profile" in " ".join(message.split())


def test_resuming_with_another_config(tmp_path: Path) -> None:
    config, out = table_config(tmp_path), tmp_path / "out"
    dvabatch("simulate", config, "-o", out)
    message = refused(2, "simulate", config, "-o", out, "--resume", "--set", "load.num_requests=5")
    assert "points of another config" in message
    assert "points of another config" in refused(2, "bench", config, "-o", out, "--resume")
    assert len(list((out / "points").glob("*.queries.jsonl"))) == 2


def test_a_bench_that_cannot_start_keeps_what_was_measured(tmp_path: Path) -> None:
    config, out = table_config(tmp_path), tmp_path / "out"
    dvabatch("simulate", config, "-o", out)
    refused(2, "bench", config, "-o", out, "--set", "slicing.stages=7")
    assert len(list((out / "points").glob("*.queries.jsonl"))) == 2


def test_a_results_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = refused(2, "simulate", table_config(tmp_path), "-o", tmp_path / "file" / "out")
    assert "choose another folder with -o" in message


def test_a_cache_that_cannot_be_written(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DVABATCH_CACHE", str(tmp_path / "file"))
    assert "set DVABATCH_CACHE" in refused(3, "build", workshop / "stages")


class FullDisk:
    """A disk that takes `writes` more files, and then none."""

    def __init__(self, writes: int) -> None:
        self.writes = writes

    def __call__(self, handle: int) -> None:
        self.writes -= 1
        if self.writes < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("command", ["bench", "simulate"])
@pytest.mark.parametrize("writes", [0, 2, 4, 5, 8, 9, 11, 13])
def test_a_disk_that_fills_keeps_every_point_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, writes: int
) -> None:
    load = {"process": "poisson", "request_rate": 3000, "num_requests": 40, "attempts": 1}  # each would be written
    config = table_config(tmp_path, policies=[NORMAL, LOAD], load=load)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(writes))  # twice a file: the file's, then its folder's
        message = refused(3, command, config, "-o", out)
    assert "No space left on device" in message
    assert "points measured so far are kept: make room and go on with --resume" in message
    assert not [file for file in out.rglob("*") if file.name.endswith(".part")]
    # Which config it is of, then for each point its records and its summary, then what the report says.
    kept = (writes >= 5) + (writes >= 9)
    assert len([file for file in (out / "points").glob("*.json") if file.name[0] != "."]) == kept
    done = dvabatch(command, config, "-o", out, "--resume")
    assert done.err.count("kept from before") == kept
    report = report_of(out)
    assert ended_well(done, report), done.err
    assert len(report["runs"]) == 2
