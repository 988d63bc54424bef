"""Cuts where the caller says: typed, or in a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dvabatch_cli.config import ConfigError, config_of, load_config
from slicer import read_manifest
from tests.cli.command import NORMAL, dvabatch, model_config, refused, report_of


def test_slice_cuts_where_it_is_told_and_counts_the_stages_itself(workshop: Path, tmp_path: Path) -> None:
    chosen = read_manifest(workshop / "stages")
    name = chosen.stages[1].outputs[0].name
    words = ("slice", workshop / "model.onnx", "--max-batch", 2, "--threads", 1, "-o", tmp_path / "stages")
    assert dvabatch(*words, "--cut-behind", name).code == 0
    stages = read_manifest(tmp_path / "stages").stages
    assert len(stages) == 2
    assert name in {spec.name for spec in stages[0].outputs}


def test_slice_refuses_what_contradicts_itself_or_is_not_there(workshop: Path, tmp_path: Path) -> None:
    words = ("slice", workshop / "model.onnx", "--threads", 1, "-o", tmp_path / "stages")
    assert "wanted 2" in refused(2, *words, "--stages", 3, "--cut-behind", "x")
    assert "wanted 1 or more" in refused(2, *words, "--stages", "", "--cut-behind", "x")
    assert "which no operator of the folded model makes: nearest are " in refused(2, *words, "--cut-behind", "x")
    assert not (tmp_path / "stages" / "stages.json").exists()


def raw(**slicing: Any) -> dict[str, Any]:
    return {
        "name": "cut",
        "model": {"network": "tiny_resnet"},
        "slicing": slicing,
        "policies": [NORMAL],
        "load": {"utilization": 0.5},
    }


@pytest.mark.parametrize(
    ("slicing", "told"),
    [
        (
            {"stages": 4, "cut_behind": ["a"]},
            "slicing.stages: got 4, wanted 2, one more than the 1 of slicing.cut_behind",
        ),
        ({"stages": "auto", "cut_behind": ["a"]}, "slicing.stages: got auto, wanted 2"),
        ({"stages": 3, "cut_behind": ["a", "a"]}, "slicing.cut_behind[1]: got a a second time"),
        ({"stages": 2, "cut_behind": "a"}, "slicing.cut_behind: got "),
    ],
)
def test_a_config_says_both_and_alike(slicing: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(raw(**slicing))
    assert told in str(caught.value)


def test_a_latency_table_is_not_cut() -> None:
    with pytest.raises(ConfigError, match=r"slicing\.cut_behind: got cuts of a model"):
        load_config("resnet_152_table", ('slicing.cut_behind=["a", "b", "c"]',))


def test_a_config_is_cut_where_it_says(workshop: Path, tmp_path: Path) -> None:
    name = read_manifest(workshop / "stages").stages[0].outputs[0].name
    config = model_config(tmp_path, slicing={"stages": 2, "cut_behind": [name]})
    assert dvabatch("bench", config, "-o", tmp_path / "run").code in (0, 4)
    report = report_of(tmp_path / "run")
    assert report["model"]["stages"][0]["outputs"] == [name]
    assert report["config"]["slicing"]["cut_behind"] == [name]
