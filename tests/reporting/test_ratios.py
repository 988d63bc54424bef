from __future__ import annotations

import copy
from typing import Any

import pytest

from dvabatch.reporting.ratios import ratio_grid, ratio_metrics, ratios


def test_ratios_are_those_of_the_comparison_by_rising_load(report: dict[str, Any]) -> None:
    found = ratios(report, "swept", ["LOAD_DVA"])
    rows = [row for row in report["comparison"] if row["policy"] == "LOAD_DVA" and row["baseline_role"] == "swept"]
    assert [each.percent for each in found] == pytest.approx([30, 60, 90, 120])
    assert sorted(each.ratio for each in found) == sorted(row["ratio"] for row in rows)


def test_metrics_name_policy_baseline_network_and_load(report: dict[str, Any]) -> None:
    metrics = ratio_metrics(report, "queue", "untuned", ["LOAD_DVA"])
    assert list(metrics) == [f"load_dva_over_untuned.queue.{load}" for load in (30, 60, 90, 120)]
    assert metrics["load_dva_over_untuned.queue.120"] == ratios(report, "untuned", ["LOAD_DVA"])[-1].ratio


def test_a_panel_draws_its_policies_and_one_without_a_baseline_says_so(report: dict[str, Any]) -> None:
    bare = {**report, "comparison": []}
    figure = ratio_grid([("queue", report, ["LOAD_DVA"]), ("bare", bare, ["LOAD_DVA"])], "swept")
    assert figure is not None
    first, second = figure.axes
    drawn = [each.ratio for each in ratios(report, "swept", ["LOAD_DVA"])]
    assert list(first.lines[0].get_ydata()) == drawn
    assert [text.get_text() for text in second.texts] == ["these runs have no swept baseline"]
    assert ratio_grid([("bare", bare, ["LOAD_DVA"])], "swept") is None


def test_what_cannot_be_said_is_left_out(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    for row in changed["comparison"]:
        if row["load"]["utilization"] == 0.3:
            row["ratio"] = None
        if row["load"]["utilization"] == 0.6:
            row["load"]["utilization"] = None
    assert [each.percent for each in ratios(changed, "swept", ["LOAD_DVA"])] == pytest.approx([90, 120])
