"""How many queries a second each policy answers, where more arrive than any can serve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from .figure_parts import looks_of
from .series import contenders

_RPS = "request_throughput_rps"


def throughput_ratio(report: Mapping[str, Any], policy: str, over: str) -> float | None:
    """One policy's throughput over another's: the mean of a ratio for each schedule that both met; None without one."""
    rps: dict[str, dict[str, float]] = {}
    for point in contenders(report["runs"]):
        for run in point.runs:
            if run[_RPS] is not None and run["valid"]:
                rps.setdefault(point.policy, {})[run["load"]["schedule_sha256"]] = float(run[_RPS])
    mine, theirs = rps.get(policy, {}), rps.get(over, {})
    found = [mine[schedule] / theirs[schedule] for schedule in mine if theirs.get(schedule)]
    return math.fsum(found) / len(found) if found else None


def throughput_figure(report: Mapping[str, Any]) -> Figure | None:
    """A bar for each policy, at the highest load that was run; the line is the load itself."""
    found = [point for point in contenders(report["runs"]) if point.average(_RPS) is not None]
    if not found:
        return None
    highest = max(point.rate_rps for point in found)
    found = [point for point in found if point.rate_rps == highest]
    looks = looks_of(found)
    figure = Figure(figsize=(6.4, 1.4 + 0.4 * len(found)), layout="constrained")
    axes = figure.subplots()
    for place, point in enumerate(reversed(found)):
        values = [float(run[_RPS]) for run in point.runs if run[_RPS] is not None]
        mean = math.fsum(values) / len(values)
        axes.barh(place, mean, color=looks[point.policy].colour, height=0.65)
        axes.plot([min(values), max(values)], [place, place], color="#222222", linewidth=1.2)
        axes.text(max(values), place, f"  {mean:,.4g}" + (" INVALID" if point.invalid else ""), va="center", fontsize=8)
    axes.set_yticks(range(len(found)), [point.policy for point in reversed(found)])
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.15)
    axes.set_title(f"{highest:,.4g} queries arrive a second")
    axes.set_xlabel("queries answered a second (line: from the lowest to the highest seed)")
    return figure
