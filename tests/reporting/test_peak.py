from __future__ import annotations

import copy
from typing import Any

import pytest

from dvabatch.reporting.peak import Peak, peak, peak_figure, peak_metrics, peaks, slo_of


@pytest.mark.parametrize(
    ("curve", "found"),
    [
        ([(0.3, 1.0), (0.5, 2.0), (0.7, 4.0)], Peak(0.6, open=False)),  # half-way from 2 to 4 ms
        ([(0.3, 1.0), (0.5, 3.0), (0.7, 4.0)], Peak(0.5, open=False)),
        ([(0.3, 1.0), (0.5, 2.0)], Peak(0.5, open=True)),
        ([(0.3, 3.5), (0.5, 2.0)], Peak(0.0, open=False)),
        ([(0.3, 3.0)], Peak(0.3, open=True)),
        ([(0.1, 2.0), (0.2, 4.0), (0.3, 2.0)], Peak(0.15, open=False)),  # the first miss counts
    ],
)
def test_a_peak_lies_where_the_line_meets_the_objective(curve: list[tuple[float, float]], found: Peak) -> None:
    assert peak(curve, 3.0).utilization == pytest.approx(found.utilization)
    assert peak(curve, 3.0).open is found.open


def test_the_objective_is_in_times_of_the_whole_model_or_of_its_longest_lane() -> None:
    assert slo_of({"profile": {"whole": {"1": 0.5, "8": 2.0}}}, 5) == 2.5
    assert slo_of({"profile": {"whole": {"16": {"1": 0.2}, "128": {"1": 0.6}}}}, 5) == pytest.approx(3.0)


def test_swept_takes_the_setting_with_the_lowest_p99_at_each_load(report: dict[str, Any]) -> None:
    doubled = copy.deepcopy(report)
    others = copy.deepcopy([run for run in report["runs"] if run["role"] == "swept"])
    for run in others:
        run["policy"]["name"] = "another"
        run["response_ms"]["p99"] *= 0.5 if run["load"]["utilization"] < 0.5 else 2
    doubled["runs"] += others
    slo_ms = 1.01 * max(run["response_ms"]["p99"] for run in report["runs"] if run["role"] == "swept")
    assert peaks(doubled, slo_ms)["swept"] == peaks(report, slo_ms)["swept"]
    assert peaks(doubled, slo_ms)["swept"].open


def test_metrics_and_bars_are_those_of_the_peaks(report: dict[str, Any]) -> None:
    whole = {**report, "profile": {"whole": {"1": 1.0}}}
    found = peaks(whole, 5.0)
    assert len(found) == 5
    metrics = peak_metrics(whole, "queue", 5.0)
    assert metrics["peak.queue.load_dva"] == found["LOAD_DVA"].utilization
    ratio = found["LOAD_DVA"].utilization / found["untuned"].utilization
    assert metrics["peak_over_untuned.queue.load_dva"] == pytest.approx(ratio)
    assert "peak_over_untuned.queue.untuned" not in metrics
    figure = peak_figure({"queue": whole}, 5.0)
    assert figure is not None
    (axes,) = figure.axes
    widths = {bar.get_width() for bar in axes.patches}  # type: ignore[attr-defined]
    assert widths == {100 * each.utilization for each in found.values()}
    assert peak_figure({"queue": {**whole, "runs": []}}, 5.0) is None
