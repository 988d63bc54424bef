"""What the figures share: colours, markers, panels, logarithmic ticks, the legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .series import Point

# Paul Tol's "bright" scheme (SRON/EPS/TN/09-002), told apart under the common colour blindnesses; yellow, too faint
# for lines on white, is left out. Markers and dashes differ too, so that grey prints do.
_COLOURS: Final = ("#4477AA", "#EE6677", "#228833", "#AA3377", "#66CCEE")
_MARKERS: Final = ("o", "s", "D", "P", "h", "X", "*")
_DASHES: Final[tuple[Any, ...]] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)))
# role -> colour, marker. Several swept baselines share them and differ in their dashes.
_BASELINE: Final = {"untuned": ("#999999", "v"), "swept": ("#222222", "^")}
STYLE: Final[Any] = {  # Any: matplotlib types its keys one by one
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
    "text.parse_math": False,  # a $ in a name is a $
    "svg.hashsalt": "dvabatch",
    "savefig.dpi": 160,
    "figure.facecolor": "white",
}
_PANELS: Final = 6  # loads a figure shows at most: the ends and what lies evenly between


@dataclass(frozen=True, slots=True)
class Look:
    colour: str
    marker: str
    dashes: Any
    width: float
    order: float  # baselines are drawn last and thin: dashes stay visible on a line that they follow


def looks_of(found: Sequence[Point]) -> dict[str, Look]:
    """policy -> look, baselines in greys; the same policy looks the same in every figure."""
    roles = {point.policy: point.role for point in found}
    looks: dict[str, Look] = {}
    for role, (colour, marker) in _BASELINE.items():
        for index, policy in enumerate(policy for policy, its in roles.items() if its == role):
            dashes = _DASHES[1 + (index + (role == "swept")) % 3]
            looks[policy] = Look(colour, marker, dashes, width=1.2, order=4)
    for index, policy in enumerate(policy for policy, its in roles.items() if its == "policy"):
        dashes = _DASHES[index // len(_COLOURS) % len(_DASHES)]
        looks[policy] = Look(_COLOURS[index % 5], _MARKERS[index % len(_MARKERS)], dashes, width=1.7, order=3)
    return looks


def plain_log(axis: Any, limits: tuple[float, float]) -> None:
    """Some five ticks in plain numbers: at decades over a long span, at 1, 1.5, 2, 3, .. over a short one."""
    decades = math.log10(limits[1] / limits[0]) if limits[0] > 0 else 1
    steps = (1, 1.5, 2, 3, 4, 6) if decades < 0.9 else (1, 2, 5) if decades < 2.2 else (1, 3) if decades < 3 else (1,)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def panels_of(drawn: Sequence[Point]) -> tuple[Figure, dict[str, Axes]]:
    """A grid of panels, up to three a row, for at most `_PANELS` loads by rising rate."""
    loads = list(dict.fromkeys(point.load_label for point in sorted(drawn, key=lambda point: point.rate_rps)))
    if len(loads) > _PANELS:
        loads = [loads[round(index * (len(loads) - 1) / (_PANELS - 1))] for index in range(_PANELS)]
    columns = 2 if len(loads) == 4 else min(3, len(loads))
    rows = math.ceil(len(loads) / columns)
    figure = Figure(
        figsize=(max(4.8, (3.6 if columns == 2 else 2.9) * columns), 0.9 + 2.5 * rows), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axes in grid[len(loads) :]:
        axes.set_visible(False)
    return figure, dict(zip(loads, grid, strict=False))


def rows_of(titles: Sequence[str], columns: int, *, sharey: Any = False) -> tuple[Figure, dict[str, list[Axes]]]:
    """A row of panels for each title."""
    figure = Figure(figsize=(1.2 + 3.7 * columns, 0.9 + 2.6 * len(titles)), layout="constrained")
    grid = figure.subplots(len(titles), columns, squeeze=False, sharey=sharey)
    return figure, {title: list(row) for title, row in zip(titles, grid, strict=True)}


def label_outer_y(panels: Mapping[str, Axes], text: str) -> None:
    for axes in panels.values():
        if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            axes.set_ylabel(text)


def legend(
    figure: Figure,
    looks: Mapping[str, Look],
    notes: Sequence[Line2D] = (),
    *,
    lines: bool = True,
    markers: bool = True,
) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            linestyle=look.dashes if lines else "none",
            linewidth=look.width,
            marker=look.marker if markers else "none",
            markersize=5,
            label=policy,
        )
        for policy, look in looks.items()
    ]
    handles += notes
    widest = max(len(str(handle.get_label())) for handle in handles)
    fit = max(1, int(float(figure.get_figwidth()) * 11 / (widest + 7)))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=min(fit, len(handles)), fontsize=8.5, handlelength=2.6
    )


def note_handle(marker: str, face: str, label: str) -> Line2D:
    return Line2D(
        [], [], color="#222222", marker=marker, markerfacecolor=face, linestyle="none", markersize=6, label=label
    )


def say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#666666")
    axes.set_yticks([])
