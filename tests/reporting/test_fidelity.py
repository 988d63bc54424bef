from __future__ import annotations

import copy
from typing import Any

import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.fidelity import fidelity_figure, fidelity_metrics, pairs


@pytest.fixture
def twinned(report: dict[str, Any]) -> dict[str, Any]:
    """The same runs, and twins with means a tenth and tails a fifth lower."""
    changed = copy.deepcopy(report)
    for run in changed["runs"]:
        found = {**run["response_ms"], "mean": 0.9 * run["response_ms"]["mean"], "p99": 0.8 * run["response_ms"]["p99"]}
        run["twin"] = {"speed": [1.0, 1.02], "steady": True, "response_ms": found}
    return changed


def test_a_ratio_is_simulated_over_measured(twinned: dict[str, Any]) -> None:
    found = pairs(twinned)
    assert len(found) == 20  # five policies at four loads
    assert [pair.ratio("mean") for pair in found] == pytest.approx([0.9] * 20)
    metrics = fidelity_metrics({"queue": found})
    assert metrics["worst_mean"] == pytest.approx(0.1)
    assert metrics["worst_p99"] == pytest.approx(0.2)
    assert metrics["mean.queue.load_dva.30"] == pytest.approx(0.9)
    assert (metrics["left_out"], metrics["without_p99"]) == (0, 0)


def test_the_worst_is_the_one_farthest_from_1_on_either_side(twinned: dict[str, Any]) -> None:
    for run in twinned["runs"][:3]:  # one point
        run["twin"]["response_ms"]["mean"] *= 2
    assert fidelity_metrics({"queue": pairs(twinned)})["worst_mean"] == pytest.approx(0.8)


def test_an_invalid_measurement_decides_nothing_and_is_counted(twinned: dict[str, Any]) -> None:
    twinned["runs"][0]["valid"] = False
    for run in twinned["runs"][:3]:
        run["twin"]["response_ms"]["mean"] *= 2
    metrics = fidelity_metrics({"queue": pairs(twinned)})
    assert metrics["worst_mean"] == pytest.approx(0.1)
    assert metrics["left_out"] == 1


def test_a_percentile_that_is_not_there_has_no_ratio_and_is_counted(twinned: dict[str, Any]) -> None:
    for run in twinned["runs"]:
        run["twin"]["response_ms"]["p99"] = None
    metrics = fidelity_metrics({"queue": pairs(twinned)})
    assert "worst_p99" not in metrics
    assert metrics["without_p99"] == 20


def test_a_host_that_changed_its_speed_decides_nothing_and_is_counted(twinned: dict[str, Any]) -> None:
    twinned["runs"][0]["twin"] |= {"steady": False}
    for run in twinned["runs"][:3]:
        run["twin"]["response_ms"]["mean"] *= 2
    metrics = fidelity_metrics({"queue": pairs(twinned)})
    assert metrics["worst_mean"] == pytest.approx(0.1)
    assert metrics["left_out"] == 1


def test_a_run_without_a_twin_is_no_pair(report: dict[str, Any]) -> None:
    with pytest.raises(ReportError, match=r"checks\.twin set to true"):
        pairs(report)


def test_the_figure_shows_every_ratio(twinned: dict[str, Any]) -> None:
    figure = fidelity_figure({"queue": pairs(twinned)})
    assert figure is not None
    mean, tail = figure.axes
    drawn = [float(line.get_ydata()[0]) for line in mean.lines if line.get_marker() not in {"None", "none", ""}]  # type: ignore[arg-type, index]
    assert drawn == pytest.approx([0.9] * 20)
    assert (mean.get_title(), tail.get_title()) == ("queue: mean", "queue: 99th percentile")
    assert fidelity_figure({"queue": []}) is None
