"""The page's figures: those of `dvabatch plot`, each wide for a screen and as one column for a phone.

Of each baseline there is one line: at every load the setting that is best there, so that a sweep does not fill the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dvabatch.reporting.figure_files import drawing, model_title
from dvabatch.reporting.figure_parts import label_outer_y, legend
from dvabatch.reporting.figures import batch_figure, cdf_figure, latency_figure
from dvabatch.reporting.profile_figures import favored_figure, tax_figure
from dvabatch.reporting.series import Point, contenders

from .markup import Html, element, joined, paragraph, section
from .svg import inline

MOST_LINES: Final = 24  # more than that nobody tells apart
_LONGEST_NAME: Final = 40
_NARROW_INCHES: Final = 3.9
_PANEL_INCHES: Final = 2.5


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure, drawn, and what a reader should look for in it."""

    name: str
    title: str
    look_for: str
    wide: Html
    narrow: Html


_OF_RUNS: Final[tuple[tuple[str, str, str, Callable[[Sequence[Point]], Figure | None]], ...]] = (
    (
        "latency",
        "Response against load",
        "Lower is better. Look where a line leaves the others: to the right of it the policy no longer keeps up. Hollow points"
        " are saturated and depend on how long the run lasted, crossed ones are INVALID. Bars are 95 % intervals of the mean."
        " Baselines are grey and dashed; of a sweep the best setting at each load is drawn.",
        latency_figure,
    ),
    (
        "response",
        "Distribution of the response",
        "A line further left answers sooner. Where two lines cross, one policy is better for most queries and the other for the"
        " slowest ones: a mean alone would hide it. The axis of time is logarithmic.",
        cdf_figure,
    ),
    (
        "batches",
        "Batch sizes by stage",
        "Points are means, bars hold the middle 80 % of the launches. Ordinary batching is level over the stages; a policy that"
        " merges or splits between stages is not.",
        batch_figure,
    ),
)
_OF_PROFILE: Final[tuple[tuple[str, str, str, Callable[[Mapping[str, Any]], Figure | None]], ...]] = (
    (
        "favoured",
        "What each stage gains of a batch",
        "The time of one row, over that at batch 1. Where a line stops falling, larger batches no longer pay: a star marks the"
        " batch that the stage favours. Stages that favour different batches are what splitting lives on; nearly level lines"
        " leave any batching little to win.",
        favored_figure,
    ),
    (
        "tax",
        "What slicing costs",
        "The time of the stages run one after another, over that of the whole model: 1 costs nothing, and a policy has to win"
        " back what lies above.",
        tax_figure,
    ),
)


def charts_of(report: Mapping[str, Any], say: Callable[[str], None]) -> list[Chart]:
    """Every figure that the report has data for; `say` is told what is left out, and why."""
    found = _named(contenders(report["runs"]))
    lines = len({point.policy for point in found})
    made: list[Chart] = []
    with drawing():
        if lines <= MOST_LINES:
            for name, title, look_for, draw in _OF_RUNS:
                made += _chart(name, title, look_for, draw(found), draw(found))
        else:
            say(f"figures of the runs are left out: {lines} policies, wanted at most {MOST_LINES} to tell them apart")
        if report["profile"] is not None:
            profiles = {model_title(report): report["profile"]}
            for name, title, look_for, draw_profile in _OF_PROFILE:
                made += _chart(name, title, look_for, draw_profile(profiles), draw_profile(profiles))
    return made


def figures_section(charts: Sequence[Chart], left_out: Sequence[str]) -> Html:
    """All figures, below each other."""
    shown = [
        element(
            "figure",
            element("h3", chart.title),
            chart.wide,
            chart.narrow,
            element("figcaption", joined((element("b", "What to look for. "), chart.look_for))),
            id=f"figure-{chart.name}",
        )
        for chart in charts
    ]
    nothing = [] if charts or left_out else [paragraph("There is nothing to draw: no run has answers.")]
    return section("figures", "Figures", *shown, *(paragraph(_sentence(why)) for why in left_out), *nothing)


def _chart(name: str, title: str, look_for: str, wide: Figure | None, narrow: Figure | None) -> list[Chart]:
    if wide is None or narrow is None:
        return []
    _stack(narrow)
    return [
        Chart(
            name,
            title,
            look_for,
            inline(wide, f"{name}-wide", title, "chart wide"),
            inline(narrow, f"{name}-narrow", title, "chart narrow"),
        )
    ]


def _stack(figure: Figure) -> None:
    """The same panels below each other, in a figure whose text can be read on a phone."""
    for axes in figure.axes:
        if not axes.get_visible():
            axes.remove()
    panels = list(figure.axes)
    label = panels[0].get_ylabel()
    (old,) = figure.legends
    notes = []
    for handle, text in zip(old.legend_handles, old.get_texts(), strict=True):
        assert isinstance(handle, Line2D)
        handle.set_label(text.get_text())
        notes.append(handle)
    old.remove()
    figure.set_size_inches(_NARROW_INCHES, _PANEL_INCHES * len(panels) + 0.17 * len(notes))
    legend(figure, {}, notes)
    grid = figure.add_gridspec(len(panels), 1)
    for place, axes in enumerate(panels):
        axes.set_subplotspec(grid[place])
        axes.tick_params(labelleft=True)
    label_outer_y({str(place): axes for place, axes in enumerate(panels)}, label)


def _named(found: Sequence[Point]) -> list[Point]:
    """Names that fit a legend: a long one is cut, and numbered so that it stays its own."""
    names: dict[str, str] = {}
    for point in found:
        if point.policy not in names:
            short = point.policy
            if len(short) > _LONGEST_NAME:
                short = f"{short[: _LONGEST_NAME - 4]}… {len(names) + 1}"
            names[point.policy] = short
    return [replace(point, policy=names[point.policy]) for point in found]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
