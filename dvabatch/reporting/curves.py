"""A response against the load: its line, its markers, its scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from .figure_parts import Look, plain_log
from .series import Point


def load_of(point: Point, relative: bool) -> float:
    """Where a point lies on the axis of the load: % of the capacity, or queries per second."""
    return 100 * float(point.load["utilization"]) if relative else point.rate_rps


def line(axes: Axes, found: Sequence[Point], values: Sequence[float | None], look: Look, relative: bool) -> None:
    """One policy's values, by rising load. A saturated point is hollow, an invalid one crossed out."""
    known = [(point, value) for point, value in zip(found, values, strict=True) if value is not None]
    if not known:
        return
    xs, ys = [load_of(point, relative) for point, _ in known], [value for _, value in known]
    axes.plot(xs, ys, color=look.colour, linestyle=look.dashes, linewidth=look.width, zorder=look.order)
    for (point, _), x, y in zip(known, xs, ys, strict=True):
        face = "white" if point.saturated else look.colour
        axes.plot(
            [x], [y], marker=look.marker, color=look.colour, markerfacecolor=face, markersize=5, zorder=look.order
        )
        if point.invalid:
            axes.plot([x], [y], marker="x", color="#222222", markersize=9, markeredgewidth=1.6, zorder=5)


def load_axis(axes: Axes, found: Sequence[Point], relative: bool) -> None:
    """A tick at each load, if there are few."""
    axes.set_xlabel("load (% of capacity)" if relative else "load (queries per second)")
    loads = sorted({load_of(point, relative) for point in found})
    axes.xaxis.set_major_locator(FixedLocator(loads) if len(loads) <= 8 else MaxNLocator(7))


def latency_scale(axes: Axes) -> None:
    """Logarithmic where saturated points would flatten all others, else from zero."""
    values = [float(y) for drawn in axes.lines for y in drawn.get_ydata() if float(y) > 0]  # type: ignore[union-attr, arg-type]
    if values and max(values) > 8 * min(values):
        axes.set_yscale("log")
        plain_log(axes.yaxis, axes.get_ylim())
    else:
        axes.set_ylim(bottom=0)


def cdf_lines(axes: Axes, found: Sequence[Point], looks: Mapping[str, Look]) -> None:
    """The distribution of each point's response, on a logarithmic axis."""
    for point in found:
        levels = point.cdf_ms() or []
        look = looks[point.policy]
        shares = [100 * step / (len(levels) - 1) for step in range(len(levels))]
        axes.plot(levels, shares, color=look.colour, linestyle=look.dashes, linewidth=look.width, zorder=look.order)
    axes.set_xscale("log")
    plain_log(axes.xaxis, axes.get_xlim())
    axes.set_ylim(0, 101)
    axes.set_xlabel("response (ms)")
