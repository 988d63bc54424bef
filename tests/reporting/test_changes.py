"""Ratios on loads that change: which row of a comparison, and what is drawn of it."""

from __future__ import annotations

from typing import Any

from dvabatch.reporting.changes import change_figure, change_ratio


def row(policy: str, role: str, ratio: float | None, interval: list[float] | None) -> dict[str, Any]:
    return {"policy": policy, "baseline_role": role, "ratio": ratio, "ratio_ci95": interval}


REPORT = {
    "comparison": [
        row("NORMAL", "swept", 2.0, [1.9, 2.1]),
        row("AUTO", "untuned", 0.5, None),
        row("AUTO", "swept", 0.9, [0.8, 1.0]),
    ]
}


def test_a_ratio_is_that_of_the_policy_and_the_role() -> None:
    assert change_ratio(REPORT, "AUTO", "swept") == (0.9, (0.8, 1.0))
    assert change_ratio(REPORT, "AUTO", "untuned") == (0.5, None)
    assert change_ratio(REPORT, "LOAD_DVA", "swept") is None
    assert change_ratio({"comparison": [row("AUTO", "swept", None, None)]}, "AUTO", "swept") is None


def test_each_baseline_has_a_panel_and_each_load_a_bar() -> None:
    loads = {
        ("ResNet-152", "bursts"): (0.9, (0.8, 1.0)),
        ("ResNet-152", "steps"): (1.1, None),
        ("UNet", "steps"): (1.0, None),
    }
    figure = change_figure({"swept": loads, "untuned": {}})
    assert figure is not None
    [axes] = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [0.9, 1.1, 1.0]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["bursts", "steps"]
    assert change_figure({"swept": {}}) is None
