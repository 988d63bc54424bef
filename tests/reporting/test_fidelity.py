from __future__ import annotations

import copy
from typing import Any

import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.fidelity import fidelity_figure, fidelity_metrics, pairs


@pytest.fixture
def faster(report: dict[str, Any]) -> dict[str, Any]:
    """The same runs, with means a tenth and tails a fifth lower."""
    changed = copy.deepcopy(report)
    for run in changed["runs"]:
        run["response_ms"]["mean"] *= 0.9
        run["response_ms"]["p99"] *= 0.8
    return changed


def test_a_ratio_is_simulated_over_measured(report: dict[str, Any], faster: dict[str, Any]) -> None:
    found = pairs(report, faster)
    assert len(found) == 20  # five policies at four loads
    assert [pair.ratio("mean") for pair in found] == pytest.approx([0.9] * 20)
    metrics = fidelity_metrics({"queue": found})
    assert metrics["worst_mean"] == pytest.approx(0.1)
    assert metrics["worst_p99"] == pytest.approx(0.2)
    assert metrics["mean.queue.load_dva.30"] == pytest.approx(0.9)
    assert metrics["left_out"] == 0


def test_the_worst_is_the_one_farthest_from_1_on_either_side(report: dict[str, Any], faster: dict[str, Any]) -> None:
    for run in faster["runs"][:3]:  # one point
        run["response_ms"]["mean"] *= 2
    assert fidelity_metrics({"queue": pairs(report, faster)})["worst_mean"] == pytest.approx(0.8)


def test_an_invalid_measurement_decides_nothing_and_is_counted(report: dict[str, Any], faster: dict[str, Any]) -> None:
    measured = copy.deepcopy(report)
    measured["runs"][0]["valid"] = False
    for run in faster["runs"][:3]:
        run["response_ms"]["mean"] *= 2
    metrics = fidelity_metrics({"queue": pairs(measured, faster)})
    assert metrics["worst_mean"] == pytest.approx(0.1)
    assert metrics["left_out"] == 1


def test_a_percentile_that_is_not_there_has_no_ratio(report: dict[str, Any], faster: dict[str, Any]) -> None:
    for run in faster["runs"]:
        run["response_ms"]["p99"] = None
    assert "worst_p99" not in fidelity_metrics({"queue": pairs(report, faster)})


def test_runs_on_other_schedules_are_no_pair(report: dict[str, Any], faster: dict[str, Any]) -> None:
    faster["runs"][0]["load"]["schedule_sha256"] = "another"
    with pytest.raises(ReportError, match="remove both folders and run both anew"):
        pairs(report, faster)


def test_the_figure_shows_every_ratio(report: dict[str, Any], faster: dict[str, Any]) -> None:
    figure = fidelity_figure({"queue": pairs(report, faster)})
    assert figure is not None
    mean, tail = figure.axes
    drawn = [float(line.get_ydata()[0]) for line in mean.lines if line.get_marker() not in {"None", "none", ""}]  # type: ignore[arg-type, index]
    assert drawn == pytest.approx([0.9] * 20)
    assert (mean.get_title(), tail.get_title()) == ("queue: mean", "queue: 99th percentile")
    assert fidelity_figure({"queue": []}) is None
