"""A policy's mean response over a baseline's, against the load: below 1 the policy answers sooner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from .curves import latency_scale
from .figure_parts import legend, looks_of, rows_of, say
from .labels import load_label
from .series import contenders


@dataclass(frozen=True, slots=True)
class Ratio:
    """One row of a report's comparison."""

    policy: str
    percent: float  # of the capacity
    ratio: float
    ci95: tuple[float, float] | None


def ratios(report: Mapping[str, Any], role: str, policies: Sequence[str] | None = None) -> list[Ratio]:
    """Each policy (of these, if given) against the baseline of this role, by rising load."""
    found = [
        Ratio(
            row["policy"],
            100 * float(row["load"]["utilization"]),
            float(row["ratio"]),
            None if row["ratio_ci95"] is None else (float(row["ratio_ci95"][0]), float(row["ratio_ci95"][1])),
        )
        for row in report["comparison"]
        if row["baseline_role"] == role
        and row["ratio"] is not None
        and row["load"]["utilization"] is not None
        and (policies is None or row["policy"] in policies)
    ]
    return sorted(found, key=lambda each: each.percent)


def ratio_metrics(
    report: Mapping[str, Any], network: str, role: str, policies: Sequence[str] | None = None
) -> dict[str, float]:
    """`auto_over_swept.unet.50`: a ratio for each policy and load."""
    return {
        f"{each.policy.lower()}_over_{role}.{network}.{load_label({'utilization': each.percent / 100})[:-2]}": each.ratio
        for each in ratios(report, role, policies)
    }


def ratio_grid(panels: Sequence[tuple[str, Mapping[str, Any], Sequence[str]]], role: str) -> Figure | None:
    """A panel for each (title, report, policies): ratios with their 95 % intervals, and the line where both are even."""
    found = {title: ratios(report, role, policies) for title, report, policies in panels}
    if not any(found.values()):
        return None
    every = [point for _, report, _ in panels for point in contenders(report["runs"])]
    shown = {each.policy for row in found.values() for each in row}
    looks = {policy: look for policy, look in looks_of(every).items() if policy in shown}
    figure, rows = rows_of(list(found), 1)
    figure.set_size_inches(6.4, figure.get_figheight())
    for title, (axes,) in rows.items():
        for policy, look in looks.items():
            line = [each for each in found[title] if each.policy == policy]
            xs, ys = [each.percent for each in line], [each.ratio for each in line]
            axes.plot(
                xs, ys, color=look.colour, linestyle=look.dashes, linewidth=look.width, marker=look.marker, markersize=5
            )
            for each in line:
                if each.ci95 is not None:
                    axes.plot([each.percent] * 2, list(each.ci95), color=look.colour, linewidth=1)
        axes.set_title(title)
        if not found[title]:
            say(axes, f"these runs have no {role} baseline")
            continue
        axes.set_xticks(sorted({each.percent for each in found[title]}))
        axes.set_xlabel("load (% of capacity)")
        axes.set_ylabel(f"mean response / {role}'s")
        latency_scale(axes)
        axes.axhline(1, color="#222222", linewidth=1.2, zorder=2)
    legend(figure, looks)
    return figure
