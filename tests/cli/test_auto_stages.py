"""`stages` "auto": the slicer chooses their number, and what hangs on it is settled, or refused, once it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dvabatch_cli.config import Config, ConfigError, config_of, load_config
from dvabatch_cli.ground import lay_ground
from dvabatch_cli.wiring import contender_of
from slicer import read_manifest
from tests.cli.command import LOAD, NORMAL, OPERATOR, dvabatch, model_config, refused, report_of, table_config

AUTO = {"stages": "auto"}
LOOSE = [NORMAL, {"scheduler_type": "LOAD_DVA"}, {"scheduler_type": "HYBRID_DVA"}]


def raw(**sections: Any) -> dict[str, Any]:
    return {
        "name": "auto",
        "model": {"network": "tiny_resnet"},
        "slicing": AUTO,
        "policies": LOOSE,
        "load": {"utilization": 0.5},
        **sections,
    }


def test_slice_chooses_the_number_and_says_why(workshop: Path) -> None:
    words = ("slice", workshop / "model.onnx", "--stages", "auto", "--max-batch", 2, "--threads", 1)
    done = dvabatch(*words, "--boundary-us", 1e6, "-o", workshop / "auto")
    assert done.code == 0
    assert "in one stage (2: +" in done.err
    assert "chose 1, " in done.err  # no batch wins back a second
    assert len(read_manifest(workshop / "auto").stages) == 1
    assert "model: 1 stage" in done.out


@pytest.mark.parametrize("stages", ["0", "-1", "four", "2.5", "Auto", "1" * 5000])
def test_slice_refuses_what_is_no_number(workshop: Path, tmp_path: Path, stages: str) -> None:
    message = refused(2, "slice", workshop / "model.onnx", f"--stages={stages}", "-o", tmp_path / "stages")
    assert "wanted 1 or more, or auto" in message


def test_slice_refuses_a_boundary_that_is_no_time(workshop: Path, tmp_path: Path) -> None:
    words = ("slice", workshop / "model.onnx", "--stages", "auto", "-o", tmp_path / "stages")
    assert "wanted microseconds of 0 or more" in refused(2, *words, "--boundary-us", "inf")


def test_a_config_leaves_the_number_open() -> None:
    config = config_of(raw())
    assert config.slicing.stages == "auto"
    open_ones = [policy.max_allow_merge_stage for policy in config.policies[1:]]  # type: ignore[union-attr]
    assert open_ones == [None, None]
    assert Config.model_validate(config.resolved()) == config
    assert config_of(raw(slicing={})).policies[1].max_allow_merge_stage == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("stages", "wanted"),
    [("four", 'a whole number, or "auto"'), (0, "a number of at least 1"), (257, "a number of at most 256")],
)
def test_a_wrong_number_is_told_once(stages: Any, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(raw(slicing={"stages": stages}))
    (problem,) = caught.value.problems
    assert (problem.path, problem.wanted) == ("slicing.stages", wanted)


def test_a_table_decides(tmp_path: Path) -> None:
    config = table_config(tmp_path, slicing=AUTO, policies=LOOSE)
    assert dvabatch("simulate", config, "-o", tmp_path / "out").code == 0
    report = report_of(tmp_path / "out")
    merging = {run["policy"]["name"]: run["policy"].get("max_allow_merge_stage") for run in report["runs"]}
    assert merging == {"NORMAL": None, "LOAD_DVA": 1, "HYBRID_DVA": 1}  # half of the table's two
    fixed = table_config(tmp_path, policies=LOOSE)
    assert dvabatch("simulate", fixed, "-o", tmp_path / "fixed").code == 0
    assert report_of(tmp_path / "fixed")["runs"] == report["runs"]


def test_options_that_do_not_fit_the_number_are_refused_once_it_is_known(tmp_path: Path) -> None:
    fitting = table_config(tmp_path, slicing=AUTO, policies=[LOAD, OPERATOR])
    assert dvabatch("simulate", fitting, "-o", tmp_path / "out").code == 0
    policies = [{**LOAD, "max_allow_merge_stage": 2}, {**OPERATOR, "favor_per_stage": [2, 4, 2]}]
    message = refused(2, "simulate", table_config(tmp_path, slicing=AUTO, policies=policies), "-o", tmp_path / "no")
    assert "slicing.stages is auto, which came out as 2" in message
    assert "policies[0].max_allow_merge_stage: got 2, wanted at most slicing.stages - 1 (1)" in message
    assert "policies[1].favor_per_stage: got 3 values, wanted one for each of slicing.stages (2)" in message
    assert "leave the option out, or give slicing.stages a number" in message


def test_a_model_is_cut_as_the_slicer_chooses(own_cache: Path, tmp_path: Path) -> None:
    engine = {"backend": "onnxruntime", "max_batch": 2, "threads": 1, "executors_per_stage": 1}
    file = model_config(tmp_path, slicing=AUTO, engine=engine, policies=LOOSE)
    assert "its stages (as many as pay)" in dvabatch("bench", file, "--dry-run").err
    config, said = load_config(file), list[str]()
    ground = lay_ground(config, said.append)
    assert any("into stages (as many as pay)" in line for line in said)
    assert ground.prepared is not None
    stages = len(ground.prepared.manifest.stages)
    assert ground.profile.stages == stages
    assert contender_of(config.policies[1], ground.profile).options["max_allow_merge_stage"] == stages // 2
    (folder,) = (own_cache / "stages").iterdir()
    assert "-auto-" in folder.name
