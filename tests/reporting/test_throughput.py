from __future__ import annotations

import copy
from typing import Any

import pytest

from dvabatch.reporting.throughput import throughput_figure, throughput_ratio


def test_the_ratio_is_over_schedules_that_both_met_validly(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    rates = {("LOAD_DVA", 1): 30.0, ("LOAD_DVA", 2): 20.0, ("LOAD_DVA", 3): 99.0}
    keep = [run for run in changed["runs"] if run["load"]["utilization"] == 1.2]
    for run in keep:
        run["request_throughput_rps"] = rates.get((run["policy"]["scheduler_type"], run["load"]["seed"]), 10.0)
    one = {**changed, "runs": keep}
    assert throughput_ratio(one, "LOAD_DVA", "OPERATOR_DVA") == pytest.approx((3 + 2 + 9.9) / 3)
    next(run for run in keep if run["request_throughput_rps"] == 99)["valid"] = False
    assert throughput_ratio(one, "LOAD_DVA", "OPERATOR_DVA") == pytest.approx(2.5)
    assert throughput_ratio(one, "LOAD_DVA", "nobody") is None


def test_a_bar_for_each_policy_at_the_highest_load(report: dict[str, Any]) -> None:
    figure = throughput_figure(report)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_title() == "1,200 queries arrive a second"
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["swept", "untuned", "hybrid, one at a time", "OPERATOR_DVA", "LOAD_DVA"]
    assert throughput_figure({**report, "runs": []}) is None
