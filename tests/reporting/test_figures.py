from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from dvabatch.reporting.figure_files import caption
from dvabatch.reporting.figures import batch_figure, cdf_figure, draw_all, latency_figure
from dvabatch.reporting.report import read_report, write_report
from dvabatch.reporting.series import points

NAMES = [f"{name}.{suffix}" for name in ("latency", "response_cdf", "batch_sizes") for suffix in ("svg", "png")]


@pytest.fixture(scope="module")
def small(report: dict[str, Any]) -> dict[str, Any]:
    """Two loads and two policies: as much as a drawing test needs."""
    keep = [run for run in report["runs"] if run["load"]["utilization"] in {0.3, 1.2}]
    return {**report, "runs": [run for run in keep if run["role"] != "policy" or "name" in run["policy"]]}


def test_all_figures_are_redrawn_from_the_report_alone_byte_for_byte(small: dict[str, Any], tmp_path: Path) -> None:
    drawn = draw_all(small, tmp_path / "one")
    assert [path.name for path in drawn] == NAMES
    write_report(tmp_path, small, {})
    again = draw_all(read_report(tmp_path), tmp_path / "two")
    for one, other in zip(drawn, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn[1::2])
    svg = drawn[0].read_text()
    assert "<svg" in svg
    assert "<dc:date>" not in svg


def test_no_state_of_matplotlib_is_left_behind(small: dict[str, Any], tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    few = {**small, "runs": small["runs"][:1]}
    draw_all(few, tmp_path)
    assert dict(mpl.rcParams) == before


def test_axes_carry_units_and_policies_their_names(small: dict[str, Any]) -> None:
    found = points(small["runs"])
    figure = latency_figure(found)
    assert figure is not None
    mean, tail = figure.axes
    assert (mean.get_xlabel(), mean.get_ylabel()) == ("load (% of capacity)", "response (ms)")
    assert tail.get_yscale() == "log"  # a saturated policy beside others
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*dict.fromkeys(point.policy for point in found), "saturated"]
    drawn = {tuple(line.get_ydata()) for line in mean.lines}  # type: ignore[arg-type]
    assert (found[0].mean_ms, found[1].mean_ms) in drawn


def test_rates_are_the_axis_where_utilizations_are_unknown(small: dict[str, Any]) -> None:
    absolute = copy.deepcopy(small)
    for run in absolute["runs"]:
        run["load"]["utilization"] = None
        run["response_ms"]["p99"] = None
    figure = latency_figure(points(absolute["runs"]))
    assert figure is not None
    assert figure.axes[0].get_xlabel() == "load (queries per second)"
    assert [text.get_text() for text in figure.axes[1].texts] == ["no run has enough answers\nfor a 99th percentile"]


def test_an_invalid_point_is_crossed_out(small: dict[str, Any]) -> None:
    broken = copy.deepcopy(small)
    broken["runs"][0]["valid"] = False
    figure = latency_figure(points(broken["runs"]))
    assert figure is not None
    assert "INVALID" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert [line.get_marker() for line in figure.axes[0].lines].count("x") == 1


def test_many_loads_are_thinned_to_six_panels(report: dict[str, Any]) -> None:
    runs = []
    for step in range(10):
        run = copy.deepcopy(report["runs"][0])
        run["load"] |= {"utilization": 0.1 * (step + 1), "request_rate_rps": 100.0 * (step + 1)}
        runs.append(run)
    for draw in (cdf_figure, batch_figure):
        figure = draw(points(runs))
        assert figure is not None
        titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
        assert len(titles) == 6
        assert (titles[0], titles[-1]) == ("load 10 %", "load 100 %")


def test_a_report_without_answers_draws_what_it_can(report: dict[str, Any], tmp_path: Path) -> None:
    empty = {**report, "runs": []}
    assert draw_all(empty, tmp_path) == []
    run = copy.deepcopy(report["runs"][0])
    run["response_ms"] = dict.fromkeys(run["response_ms"])
    run["response_cdf_ms"] = None
    assert latency_figure(points([run])) is None
    assert cdf_figure(points([run])) is None


def test_the_caption_names_model_and_backend(report: dict[str, Any]) -> None:
    text = caption(report)
    assert text == "queue · resnet_152 · 3 stages · table 1 fp16 · simulated · 1,000 queries a run · 3 seeds"
    assert caption({**report, "model": None, "runs": report["runs"][:1]}).endswith("1,000 queries a run · 1 seed")
