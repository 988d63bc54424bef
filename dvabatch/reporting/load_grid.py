"""Several reports side by side: response against load, and response distributions, a row of panels for each report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from .curves import cdf_lines, latency_scale, line, load_axis
from .figure_parts import legend, looks_of, note_handle, rows_of, say
from .series import Point, contenders

Reports = Mapping[str, Mapping[str, Any]]  # by title


def load_grid(reports: Reports) -> Figure | None:
    """Mean and p99 of the response against the load, a line a policy, baselines as one line each."""
    found = _drawn(reports)
    if not found:
        return None
    every = [point for each in found.values() for point in each]
    looks = looks_of(every)
    figure, rows = rows_of(list(found), 2)
    for title, (mean_axes, tail_axes) in rows.items():
        relative = all(point.load["utilization"] is not None for point in found[title])
        for policy, look in looks.items():
            of_policy = [point for point in found[title] if point.policy == policy]
            line(mean_axes, of_policy, [point.mean_ms for point in of_policy], look, relative)
            line(tail_axes, of_policy, [point.average("response_ms", "p99") for point in of_policy], look, relative)
        for axes, what in ((mean_axes, "mean"), (tail_axes, "99th percentile")):
            axes.set_title(f"{title}: {what}")
            axes.set_ylabel("response (ms)")
            load_axis(axes, found[title], relative)
            latency_scale(axes)
            if not axes.lines:
                say(axes, "too few answers for it")
    legend(figure, looks, [note_handle("o", "none", "saturated")] if any(point.saturated for point in every) else [])
    return figure


def cdf_grid(reports: Reports, loads: Sequence[float]) -> Figure | None:
    """The distribution of the response at these utilizations, a column each; what was not run there stays empty."""
    found = {
        title: [point for point in each if point.cdf_ms() is not None and point.load["utilization"] in loads]
        for title, each in _drawn(reports).items()
    }
    found = {title: each for title, each in found.items() if each}
    if not found:
        return None
    looks = looks_of([point for each in found.values() for point in each])
    met = [load for load in loads if any(p.load["utilization"] == load for each in found.values() for p in each)]
    figure, rows = rows_of(list(found), len(met), sharey=True)
    for title, panels in rows.items():
        for load, axes in zip(met, panels, strict=True):
            cdf_lines(axes, [point for point in found[title] if point.load["utilization"] == load], looks)
            axes.set_title(f"{title}, load {load:.0%}")
        panels[0].set_ylabel("queries answered (%)")
    legend(figure, looks, markers=False)
    return figure


def _drawn(reports: Reports) -> dict[str, list[Point]]:
    found = {
        title: [point for point in contenders(report["runs"]) if point.mean_ms is not None]
        for title, report in reports.items()
    }
    return {title: each for title, each in found.items() if each}
