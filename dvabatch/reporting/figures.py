"""Figures, redrawn from a report alone: latency against load, response distributions, batch sizes per stage.

Drawn on matplotlib's object interface with the Agg and SVG canvases: no pyplot, no window, no state left behind. The
same report gives the same bytes (fixed SVG ids, no dates) under the same matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from .curves import cdf_lines, latency_scale, line, load_axis, load_of
from .figure_files import caption, drawing, save
from .figure_parts import Look, label_outer_y, legend, looks_of, note_handle, panels_of, say
from .series import Point, mean_rows, points, rows_at


def draw_all(report: Mapping[str, Any], directory: Path | str) -> list[Path]:
    """Draws every figure that the report has data for, each as SVG and PNG; returns the files in that order."""
    found = points(report["runs"])
    written: list[Path] = []
    with drawing():
        figures = {
            "latency": latency_figure(found),
            "response_cdf": cdf_figure(found),
            "batch_sizes": batch_figure(found),
        }
        for name, figure in figures.items():
            if figure is not None:
                written += save(figure, Path(directory), name, caption(report))
    return written


def latency_figure(found: Sequence[Point]) -> Figure | None:
    """Mean (with its 95 % interval) and p99 of the response against the load, a line a policy."""
    drawn = [point for point in found if point.mean_ms is not None]
    if not drawn:
        return None
    relative = all(point.load["utilization"] is not None for point in drawn)
    looks = looks_of(found)
    figure = Figure(figsize=(8.6, 3.9), layout="constrained")
    mean_axes, tail_axes = figure.subplots(1, 2)
    for policy, look in looks.items():
        of_policy = [point for point in drawn if point.policy == policy]
        line(mean_axes, of_policy, [point.mean_ms for point in of_policy], look, relative)
        line(tail_axes, of_policy, [point.average("response_ms", "p99") for point in of_policy], look, relative)
    mean_axes.set_title("Mean, with its 95 % interval")
    tail_axes.set_title("99th percentile")
    for axes in (mean_axes, tail_axes):
        axes.set_ylabel("response (ms)")
        load_axis(axes, drawn, relative)
        latency_scale(axes)
        if not axes.lines:
            say(axes, "no run has enough answers\nfor a 99th percentile")
    _intervals(mean_axes, drawn, looks, relative)
    notes = []
    if any(point.saturated for point in drawn):
        notes.append(note_handle("o", "none", "saturated"))
    if any(point.invalid for point in drawn):
        notes.append(note_handle("x", "#222222", "INVALID"))
    legend(figure, looks, notes)
    return figure


def cdf_figure(found: Sequence[Point]) -> Figure | None:
    """The distribution of the response, a panel a load and a line a policy."""
    drawn = [point for point in found if point.cdf_ms() is not None]
    if not drawn:
        return None
    looks = looks_of(found)
    figure, panels = panels_of(drawn)
    for load, axes in panels.items():
        cdf_lines(axes, [point for point in drawn if point.load_label == load], looks)
        axes.set_title(f"load {load}")
    label_outer_y(panels, "queries answered (%)")
    legend(figure, looks, markers=False)
    return figure


def batch_figure(found: Sequence[Point]) -> Figure | None:
    """Batch sizes per stage: the mean, and the span that holds the middle 80 % of launches; a panel a load."""
    drawn = [point for point in found if any(batches for batches in point.batches())]
    if not drawn:
        return None
    looks = looks_of(found)
    figure, panels = panels_of(drawn)
    stages = max(len(point.batches()) for point in drawn)
    highest = max(max(rows_at(one, 0.9) or 1, mean_rows(one) or 1) for point in drawn for one in point.batches())
    for load, axes in panels.items():
        here = [point for point in drawn if point.load_label == load]
        step = 0.7 / max(len(here), 1)
        for place, point in enumerate(here):
            look = looks[point.policy]
            for stage, batches in enumerate(point.batches()):
                mean, low, high = mean_rows(batches), rows_at(batches, 0.1), rows_at(batches, 0.9)
                if mean is None or low is None or high is None:
                    continue
                x = stage + (place - (len(here) - 1) / 2) * step
                axes.plot([x, x], [low, high], color=look.colour, linewidth=3.5, alpha=0.35, solid_capstyle="round")
                axes.plot([x], [mean], color=look.colour, marker=look.marker, markersize=5, linestyle="none")
        axes.set_xticks(range(stages), [str(stage) for stage in range(stages)])
        axes.set_xlim(-0.5, stages - 0.5)
        axes.grid(visible=False, axis="x")
        for boundary in range(1, stages):
            axes.axvline(boundary - 0.5, color="#E4E4E4", linewidth=0.7, zorder=0)
        axes.set_ylim(0, 1.08 * highest)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_title(f"load {load}")
        axes.set_xlabel("stage")
    label_outer_y(panels, "batch (rows a launch)\nmean and middle 80 %")
    legend(figure, looks, lines=False)
    return figure


def _intervals(axes: Axes, drawn: Sequence[Point], looks: Mapping[str, Look], relative: bool) -> None:
    """The mean's intervals, beside each other, cut where the axes end: a wide one must not flatten the means."""
    bottom, top = axes.get_ylim()
    places = {policy: place - (len(looks) - 1) / 2 for place, policy in enumerate(looks)}
    for point in drawn:
        if point.mean_ci95_ms is not None:
            low, high = point.mean_ci95_ms
            aside = ScaledTranslation(1.6 * places[point.policy] / 72, 0, axes.figure.dpi_scale_trans)
            axes.plot(
                [load_of(point, relative)] * 2,
                [max(low, bottom), min(high, top)],
                color=looks[point.policy].colour,
                linewidth=1,
                zorder=2,
                transform=axes.transData + aside,
            )
    axes.set_ylim(bottom, top)
