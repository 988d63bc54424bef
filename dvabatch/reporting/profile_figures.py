"""Figures of profiles: what a row costs by batch, stage by stage, with the batch that each favours; and the slicing tax.

A profile is a report's `profile` document. Drawn like the figures of runs: under the same style, and the same document
gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from dvabatch.batching.errors import ProfileError
from dvabatch.batching.profile import Profile

from .errors import ReportError
from .figure_files import drawing, save
from .figure_parts import Look, label_outer_y, legend, note_handle, plain_log

Document = Mapping[str, Any]

MODEST_TAX = 1.05  # a cut model that takes longer than this over the whole one has something to win back
_MARKERS = ("o", "s", "D", "^", "v", "P")


def draw_profiles(profiles: Mapping[str, Document], place: Path, note: str) -> list[Path]:
    """Draws both figures, as far as there is something to draw, each as SVG and PNG; returns the files in that order.

    Where `place` is a folder, or has no suffix .svg or .png, they are favored.* and tax.* in it. Else it names the first,
    and the second lies beside it as NAME_tax.*.
    """
    named = place.suffix in {".svg", ".png"} and not place.is_dir()
    folder, names = (place.parent, (place.stem, f"{place.stem}_tax")) if named else (place, ("favored", "tax"))
    with drawing():
        figures = (favored_figure(profiles), tax_figure(profiles))
        return [
            file
            for name, figure in zip(names, figures, strict=True)
            if figure is not None
            for file in save(figure, folder, name, note)
        ]


def favored_figure(profiles: Mapping[str, Document]) -> Figure | None:
    """Milliseconds of each stage a row, over those at batch 1, against the batch; the batch that it favours is marked.

    A panel for each title, and for each of its lanes where it has several; a line for each stage. The favoured batch is
    `Profile.favored_batch`: the smallest that reaches 95 % of the stage's best throughput. Relative to batch 1, stages that
    take long and stages that do not can be compared: what counts is where a line stops falling.

    None if no profile has a batch above 1. Raises ReportError for a profile that is none.
    """
    panels = [
        (f"{title}{'' if length is None else f', length {length}'}", profile, lane)
        for title, document in profiles.items()
        if (profile := _profile_of(title, document)) is not None and profile.max_batch > 1
        for lane, length in enumerate(profile.lanes)
    ]
    if not panels:
        return None
    looks = _looks([f"stage {stage}" for stage in range(max(profile.stages for _, profile, _ in panels))])
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(max(4.8, 3.2 * columns), 0.9 + 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, (title, profile, lane) in zip(grid, panels, strict=False):
        for stage, look in zip(range(profile.stages), looks.values(), strict=False):
            _stage_line(axes, profile, stage, lane, look)
        axes.set_title(title)
        axes.set_xlabel("batch (rows)")
        _batches(axes, [size for size, _ in profile.curves[lane][0].latency_ms.points])
        axes.set_yscale("log")
    plain_log(grid[0].yaxis, grid[0].get_ylim())  # of all: they share it
    label_outer_y(dict(zip(map(str, range(len(panels))), grid, strict=False)), "time a row\n(1: as at batch 1)")
    legend(figure, looks, [note_handle("*", "white", "favoured batch")])
    return figure


def tax_figure(profiles: Mapping[str, Document]) -> Figure | None:
    """The slicing tax, the chained stages' time over the whole model's, against the batch; a line for each title.

    None if no profile has a tax: tables have none, since nothing was cut.
    """
    taxes = {
        title: sorted((int(size), float(tax)) for size, tax in document["slicing_tax"].items())
        for title, document in profiles.items()
        if document.get("slicing_tax")
    }
    if not taxes:
        return None
    looks = {name: replace(look, width=1.6) for name, look in _looks(list(taxes)).items()}
    figure = Figure(figsize=(5.6, 3.9), layout="constrained")
    axes = figure.subplots()
    axes.axhline(1.0, color="#555555", linewidth=0.8, zorder=1)
    axes.axhline(MODEST_TAX, color="#555555", linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
    axes.annotate(
        f"{MODEST_TAX:g}", (1, MODEST_TAX), xycoords=("axes fraction", "data"), xytext=(3, 0), textcoords="offset points",
        va="center", color="#555555", fontsize=8.5, annotation_clip=False,
    )  # fmt: skip
    for tax, look in zip(taxes.values(), looks.values(), strict=True):
        sizes, values = zip(*tax, strict=True)
        axes.plot(
            sizes, values, color=look.colour, linewidth=look.width, marker=look.marker, markersize=5, zorder=look.order
        )
    _batches(axes, sorted({size for tax in taxes.values() for size, _ in tax}))
    axes.set_xlabel("batch (rows)")
    axes.set_ylabel("stages over whole model")
    legend(figure, looks)
    return figure


def _profile_of(title: str, document: Document) -> Profile | None:
    """The profile that a report's document was written from, as far as times go; None if it lists no stage."""
    lanes: dict[str | None, list[Document]] = {}
    try:
        for entry in sorted(document.get("stages") or (), key=lambda entry: int(entry["stage"])):
            lane = entry["lane"]
            stage = {"latency_ms": entry["latency_ms"]}
            lanes.setdefault(None if lane is None else str(lane), []).append(stage)
        if not lanes:
            return None
        by_lane = {"lanes": {length: {"stages": stages} for length, stages in lanes.items()}}
        return Profile.from_table({"name": title, **({"stages": lanes[None]} if None in lanes else by_lane)})
    except (ProfileError, KeyError, TypeError, ValueError) as error:
        raise ReportError(
            f"the profile of {title!r} cannot be drawn: {error}: wanted a report's `profile`; measure it anew"
        ) from error


def _stage_line(axes: Axes, profile: Profile, stage: int, lane: int, look: Look) -> None:
    """Between the measured sizes the line is where the profile, and so every policy, believes it to be."""

    def a_row(size: int) -> float:
        return profile.stage_ns(stage, size, lane) / size / profile.stage_ns(stage, 1, lane)

    sizes = range(1, profile.max_batch + 1)
    axes.plot(sizes, [a_row(size) for size in sizes], color=look.colour, linewidth=look.width, zorder=look.order)
    measured = [int(size) for size, _ in profile.curves[lane][stage].latency_ms.points if size <= profile.max_batch]
    axes.plot(
        measured,
        [a_row(size) for size in measured],
        color=look.colour,
        marker=look.marker,
        markersize=2 + look.width,
        linestyle="none",
        zorder=look.order,
    )
    favored = profile.favored_batch(stage, lane)
    axes.plot(
        [favored],
        [a_row(favored)],
        marker="*",
        markersize=8 + 2 * look.width,
        markerfacecolor="white",
        color=look.colour,
        markeredgewidth=1.3,
        linestyle="none",
        zorder=look.order + 2,
    )


def _looks(names: Sequence[str]) -> dict[str, Look]:
    """name -> look, from dark to light in their order: it can be read off, in grey prints too.

    And from thick to thin, each drawn on those before: equal lines stay visible below each other.
    """
    scale, last = mpl.colormaps["viridis"], max(1, len(names) - 1)
    return {
        name: Look(
            to_hex(scale(0.85 * index / last)), _MARKERS[index % len(_MARKERS)], "-", 1.3 + 2 * (1 - index / last), 3
        )
        for index, name in enumerate(names)
    }


def _batches(axes: Axes, sizes: Sequence[float]) -> None:
    """Batch sizes by their logarithm, a tick at each that was measured."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
