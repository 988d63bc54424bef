from __future__ import annotations

from typing import Any

from dvabatch.reporting.page.machine import config_section, environment_section
from tests.reporting.page.conftest import Reader


def test_the_machine_is_told_flat_and_what_is_unknown_is_left_out(small: dict[str, Any]) -> None:
    small["environment"] |= {"dirty": False, "gpu": {"name": "A GPU", "clocks": [1, 2]}, "measured": [{"a": 1}]}
    text = Reader(environment_section(small)).text
    for wanted in (
        "cpu A Processor cores 2 memory 8.0 GiB",
        "numpy 2.0",
        "dirty no",
        "gpu.name A GPU gpu.clocks 1, 2",
        "1 entries",
    ):
        assert wanted in text
    assert "None" not in text
    assert "The runs are simulated" in text


def test_a_report_without_its_meta_file_says_so(small: dict[str, Any]) -> None:
    assert "The environment was not recorded" in environment_section({**small, "environment": {}})


def test_engine_model_and_profile(whole: dict[str, Any]) -> None:
    text = Reader(environment_section(whole)).text
    assert "backend table version 1 precision fp16 max batch 32" in text
    assert "capacity 2,000 queries/s" in text
    assert "batch 1 batch 4 batch 16 0 - 1.000 1.500 5.000" in text
    assert "resnet_152" in text
    measured = {**whole, "runs": [run | {"admission": "pull"} for run in whole["runs"][:1]]}
    assert "The runs were measured on this machine." in environment_section(measured)


def test_the_config_is_closed_and_cut_where_it_is_endless(small: dict[str, Any]) -> None:
    found = Reader(config_section(small))
    assert "details" in found.elements
    assert '"name": "queue"' in found.text
    endless = config_section({**small, "config": {"inputs": ["x" * 1000] * 1000}})
    assert len(endless) < 250_000
    assert "characters more in report.json" in endless
