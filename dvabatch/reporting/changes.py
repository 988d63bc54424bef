"""A policy on loads that change while it looks: its mean response over a baseline's, a bar for each network and load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from matplotlib.figure import Figure

Interval: TypeAlias = tuple[float, float]
Ratio: TypeAlias = tuple[float, Interval | None]
_COLOURS = ("#4477AA", "#66CCEE", "#228833", "#CCBB44")


def change_ratio(report: Mapping[str, Any], policy: str, role: str) -> Ratio | None:
    """A policy against the baseline of this role on the report's one load; None where they were not compared."""
    for row in report["comparison"]:
        if row["policy"] == policy and row["baseline_role"] == role and row["ratio"] is not None:
            interval = row["ratio_ci95"]
            return float(row["ratio"]), None if interval is None else (float(interval[0]), float(interval[1]))
    return None


def change_figure(found: Mapping[str, Mapping[tuple[str, str], Ratio]]) -> Figure | None:
    """A panel for each baseline, by its role; within it a group for each network and a bar for each kind of load."""
    shown = {role: ratios for role, ratios in found.items() if ratios}
    if not shown:
        return None
    figure = Figure(figsize=(4.4 * len(shown), 3.4), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (role, ratios) in zip(panels, shown.items(), strict=True):
        networks = list(dict.fromkeys(network for network, _ in ratios))
        kinds = list(dict.fromkeys(kind for _, kind in ratios))
        width = 0.8 / len(kinds)
        for place, kind in enumerate(kinds):
            for group, network in enumerate(networks):
                if (network, kind) not in ratios:
                    continue
                ratio, interval = ratios[network, kind]
                x = group + (place - (len(kinds) - 1) / 2) * width
                label = kind if group == 0 else None
                axes.bar([x], [ratio], 0.9 * width, color=_COLOURS[place % len(_COLOURS)], label=label, zorder=2)
                if interval is not None:
                    axes.plot([x, x], list(interval), color="#222222", linewidth=1, zorder=3)
        axes.axhline(1, color="#222222", linewidth=1.2, zorder=4)
        axes.set_xticks(range(len(networks)), networks)
        axes.grid(visible=False, axis="x")
        axes.set_title(f"against {role}")
        axes.set_ylabel(f"mean response / {role}'s")
    bars, said = panels[0].get_legend_handles_labels()
    figure.legend(bars, said, loc="outside upper left", ncols=len(said), fontsize=8)
    return figure
