"""Figures, redrawn from a report alone: latency against load, response distributions, batch sizes per stage.

Drawn on matplotlib's object interface with the Agg and SVG canvases: no pyplot, no window, no state left behind. The
same report gives the same bytes (fixed SVG ids, no dates) under the same matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from .figure_parts import STYLE, Look, label_outer_y, legend, looks_of, note_handle, panels_of, plain_log, say
from .files import atomic
from .series import Point, mean_rows, points, rows_at


def draw_all(report: Mapping[str, Any], directory: Path | str) -> list[Path]:
    """Draws every figure that the report has data for, each as SVG and PNG; returns the files in that order."""
    found = points(report["runs"])
    folder = Path(directory)
    written: list[Path] = []
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's matplotlibrc says
        mpl.rcParams.update(STYLE)
        figures = {
            "latency": latency_figure(found),
            "response_cdf": cdf_figure(found),
            "batch_sizes": batch_figure(found),
        }
        for name, figure in figures.items():
            if figure is None:
                continue
            figure.supxlabel(caption(report), fontsize=7.5, color="#666666", x=0.01, ha="left")
            for suffix, metadata in (
                (".svg", {"Date": None, "Creator": "dvabatch"}),
                (".png", {"Software": "dvabatch"}),
            ):
                path = folder / f"{name}{suffix}"
                with atomic(path) as file:
                    figure.savefig(file, format=suffix[1:], metadata=metadata)
                written.append(path)
    return written


def caption(report: Mapping[str, Any]) -> str:
    """What was measured, in a line: experiment, model, backend, precision, queries, seeds."""
    model, engine = report.get("model") or {}, report.get("engine") or {}
    parts = [str(report["name"])]
    if model.get("name") and model["name"] != report["name"]:
        parts.append(str(model["name"]))
    if model.get("stages"):
        parts.append(f"{len(model['stages'])} stages")
    backend = " ".join(str(engine[key]) for key in ("backend", "version", "precision") if engine.get(key))
    if backend:
        parts.append(backend)
    if any(run.get("admission") == "simulated" for run in report["runs"]):
        parts.append("simulated")
    offered = sorted({run["counts"]["offered"] for run in report["runs"]})
    if offered:
        low, high = offered[0], offered[-1]
        parts.append(f"{low:,} queries a run" if low == high else f"{low:,} to {high:,} queries a run")
    seeds = {run["load"].get("seed") for run in report["runs"]}
    parts.append(f"{len(seeds)} seed{'s' if len(seeds) != 1 else ''}")
    return " · ".join(parts)


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
        line = [point for point in drawn if point.policy == policy]
        _line(mean_axes, line, [point.mean_ms for point in line], look, relative)
        _line(tail_axes, line, [point.average("response_ms", "p99") for point in line], look, relative)
    mean_axes.set_title("Mean, with its 95 % interval")
    tail_axes.set_title("99th percentile")
    for axes in (mean_axes, tail_axes):
        axes.set_xlabel("load (% of capacity)" if relative else "load (queries per second)")
        axes.set_ylabel("response (ms)")
        loads = sorted({_x(point, relative) for point in drawn})
        axes.xaxis.set_major_locator(FixedLocator(loads) if len(loads) <= 8 else MaxNLocator(7))
        _latency_scale(axes)
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
        for point in (point for point in drawn if point.load_label == load):
            levels = point.cdf_ms() or []
            look = looks[point.policy]
            shares = [100 * step / (len(levels) - 1) for step in range(len(levels))]
            axes.plot(levels, shares, color=look.colour, linestyle=look.dashes, linewidth=look.width, zorder=look.order)
        axes.set_xscale("log")
        plain_log(axes.xaxis, axes.get_xlim())
        axes.set_ylim(0, 101)
        axes.set_title(f"load {load}")
        axes.set_xlabel("response (ms)")
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


def _x(point: Point, relative: bool) -> float:
    return 100 * float(point.load["utilization"]) if relative else point.rate_rps


def _line(axes: Axes, line: Sequence[Point], values: Sequence[float | None], look: Look, relative: bool) -> None:
    known = [(point, value) for point, value in zip(line, values, strict=True) if value is not None]
    if not known:
        return
    xs, ys = [_x(point, relative) for point, _ in known], [value for _, value in known]
    axes.plot(xs, ys, color=look.colour, linestyle=look.dashes, linewidth=look.width, zorder=look.order)
    for (point, _), x, y in zip(known, xs, ys, strict=True):
        face = "white" if point.saturated else look.colour
        axes.plot(
            [x], [y], marker=look.marker, color=look.colour, markerfacecolor=face, markersize=5, zorder=look.order
        )
        if point.invalid:
            axes.plot([x], [y], marker="x", color="#222222", markersize=9, markeredgewidth=1.6, zorder=5)


def _intervals(axes: Axes, drawn: Sequence[Point], looks: Mapping[str, Look], relative: bool) -> None:
    """The mean's intervals, beside each other, cut where the axes end: a wide one must not flatten the means."""
    bottom, top = axes.get_ylim()
    places = {policy: place - (len(looks) - 1) / 2 for place, policy in enumerate(looks)}
    for point in drawn:
        if point.mean_ci95_ms is not None:
            low, high = point.mean_ci95_ms
            aside = ScaledTranslation(1.6 * places[point.policy] / 72, 0, axes.figure.dpi_scale_trans)
            axes.plot(
                [_x(point, relative)] * 2,
                [max(low, bottom), min(high, top)],
                color=looks[point.policy].colour,
                linewidth=1,
                zorder=2,
                transform=axes.transData + aside,
            )
    axes.set_ylim(bottom, top)


def _latency_scale(axes: Axes) -> None:
    """Logarithmic where saturated points would flatten all others, else from zero."""
    values = [float(y) for line in axes.lines for y in line.get_ydata() if float(y) > 0]  # type: ignore[union-attr, arg-type]
    if values and max(values) > 8 * min(values):
        axes.set_yscale("log")
        plain_log(axes.yaxis, axes.get_ylim())
    else:
        axes.set_ylim(bottom=0)
