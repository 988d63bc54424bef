"""The highest load that a policy serves within an objective: p99 of the response at most a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from .figure_parts import looks_of, rows_of
from .series import Point, contenders

_P99 = ("response_ms", "p99")


@dataclass(frozen=True, slots=True)
class Peak:
    """A fraction of the capacity; `open`: the bound still held at the highest load that was run."""

    utilization: float
    open: bool


def slo_of(report: Mapping[str, Any], times: float) -> float:
    """So many times the whole model's time at batch 1, in ms; of the longest lane, where there are lanes."""
    whole = report["profile"]["whole"]
    if "1" not in whole:
        whole = whole[max(whole, key=int)]
    return times * float(whole["1"])


def peaks(report: Mapping[str, Any], slo_ms: float) -> dict[str, Peak]:
    """By policy and baseline. Of swept settings each load takes the one with the lowest p99."""
    by_policy: dict[str, list[tuple[float, float]]] = {}
    for point in contenders(report["runs"], by=_P99):
        p99_ms = point.average(*_P99)
        if p99_ms is not None and point.load["utilization"] is not None:
            by_policy.setdefault(point.policy, []).append((float(point.load["utilization"]), p99_ms))
    return {policy: peak(sorted(curve), slo_ms) for policy, curve in by_policy.items()}


def peak(curve: Sequence[tuple[float, float]], slo_ms: float) -> Peak:
    """From (utilization, p99 in ms), by rising load: where the straight line to the first load that misses meets the bound.

    A bound that is missed at the lowest load already gives 0.
    """
    if curve[0][1] > slo_ms:
        return Peak(0.0, open=False)
    for (load, p99_ms), (next_load, next_ms) in pairwise(curve):
        if next_ms > slo_ms:
            return Peak(load + (next_load - load) * (slo_ms - p99_ms) / (next_ms - p99_ms), open=False)
    return Peak(curve[-1][0], open=True)


def peak_metrics(report: Mapping[str, Any], network: str, slo_ms: float) -> dict[str, float]:
    """`peak.unet.auto`, and its ratios to both baselines, `peak_over_swept.unet.auto`."""
    found = peaks(report, slo_ms)
    metrics = {f"peak.{network}.{policy.lower()}": each.utilization for policy, each in found.items()}
    for role in ("untuned", "swept"):
        base = found.get(role)
        if base is not None and base.utilization > 0:
            metrics |= {
                f"peak_over_{role}.{network}.{policy.lower()}": each.utilization / base.utilization
                for policy, each in found.items()
                if policy != role
            }
    return metrics


def peak_figure(reports: Mapping[str, Mapping[str, Any]], times: float) -> Figure | None:
    """A row of bars for each report, a bar a policy."""
    found = {title: peaks(report, slo_of(report, times)) for title, report in reports.items()}
    found = {title: each for title, each in found.items() if each}
    if not found:
        return None
    every: list[Point] = [point for report in reports.values() for point in contenders(report["runs"])]
    looks = looks_of(every)
    figure, rows = rows_of(list(found), 1)
    figure.set_size_inches(6.4, figure.get_figheight())
    for title, (axes,) in rows.items():
        shown = [policy for policy in looks if policy in found[title]]
        for place, policy in enumerate(reversed(shown)):
            each = found[title][policy]
            axes.barh(place, 100 * each.utilization, color=looks[policy].colour, height=0.65)
            text = f" ≥ {each.utilization:.0%}" if each.open else f" {each.utilization:.0%}"
            axes.text(100 * each.utilization, place, text, va="center", fontsize=8)
        axes.set_yticks(range(len(shown)), list(reversed(shown)))
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 112)
        axes.set_title(f"{title}: p99 at most {slo_of(reports[title], times):.3g} ms")
        axes.set_xlabel("highest load (% of capacity)")
    return figure
