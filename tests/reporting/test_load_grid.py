from __future__ import annotations

import copy
from typing import Any

from dvabatch.reporting.load_grid import cdf_grid, load_grid
from dvabatch.reporting.series import contenders


def test_each_baseline_is_one_line_the_hardest_at_each_load(report: dict[str, Any]) -> None:
    others = copy.deepcopy([run for run in report["runs"] if run["role"] == "swept"])
    for run in others:
        run["policy"]["name"] = "another"
        run["response_ms"]["mean"] *= 0.5 if run["load"]["utilization"] < 0.5 else 2
    found = [point for point in contenders([*report["runs"], *others]) if point.policy == "swept"]
    assert [point.runs[0]["policy"].get("name") for point in found] == ["another", None, None, None]
    assert [point.load["utilization"] for point in found] == [0.3, 0.6, 0.9, 1.2]


def test_a_row_of_panels_for_each_report(report: dict[str, Any]) -> None:
    figure = load_grid({"one": report, "two": report, "none": {**report, "runs": []}})
    assert figure is not None
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["one: mean", "one: 99th percentile", "two: mean", "two: 99th percentile"]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["untuned", "swept"]
    assert load_grid({"none": {**report, "runs": []}}) is None


def test_distributions_stand_under_their_loads(report: dict[str, Any]) -> None:
    figure = cdf_grid({"one": report}, (0.3, 0.5, 0.9))
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == ["one, load 30%", "one, load 90%"]
    levels = {tuple(line.get_xdata()) for line in figure.axes[0].lines}  # type: ignore[arg-type]
    wanted = {tuple(p.cdf_ms() or ()) for p in contenders(report["runs"]) if p.load["utilization"] == 0.3}
    assert levels == wanted
    assert cdf_grid({"one": report}, (0.5,)) is None
