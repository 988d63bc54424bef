from __future__ import annotations

from typing import Any

from dvabatch.reporting.page.operations import operations_section
from dvabatch.reporting.series import points
from tests.reporting.page.conftest import Reader


def test_operations_batches_and_padding_by_policy_and_load(small: dict[str, Any]) -> None:
    small["runs"][2]["operations"] |= {"new": 1234, "stretch": 56, "leap": 7}
    for stage, rows in zip(small["runs"][2]["stages"], ("8", "4", "2"), strict=True):
        stage |= {"batch_histogram": {rows: 10}, "padding_waste": 0.25}
    small["runs"][2] |= {"served_whole": 0.5}
    text = Reader(operations_section(points(small["runs"]))).text
    assert "60 % of the capacity" in text
    assert "new stretch merge split hold leap" in text
    assert "LOAD_DVA 1,234 56 0 0 0 7 8.0 4.0 2.0 25 % 50 % 50 %" in text


def test_what_is_not_known_of_every_seed_is_not_averaged(whole: dict[str, Any]) -> None:
    runs = [dict(run) for run in whole["runs"] if run["load"]["utilization"] == 0.6 and run["role"] == "swept"]
    for run in runs:
        run["served_whole"] = 1.0
    assert Reader(operations_section(points(runs))).text.count("100 %") == 1
    runs[0]["served_whole"] = None
    assert Reader(operations_section(points(runs))).text.count("100 %") == 0


def test_no_runs_are_said() -> None:
    assert "Nothing was measured." in operations_section([])
