from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes

from dvabatch.batching.profile import Profile
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.profile_figures import MODEST_TAX, draw_profiles, favored_figure, tax_figure

# By batch: the first and last favour small ones, the middle costs nearly the same whatever the batch.
ENDS = {"1": 0.1, "2": 0.14, "4": 0.24, "8": 0.46}
MIDDLE = {"1": 0.5, "2": 0.5, "4": 0.52, "8": 0.66}


def document(
    *stages: dict[str, float], lanes: tuple[int | None, ...] = (None,), tax: dict[str, float] | None = None
) -> dict[str, Any]:
    """As a report has it."""
    listed = [
        {"stage": stage, "lane": lane, "latency_ms": latency_ms, "share": {"1": 1.0}}
        for lane in lanes
        for stage, latency_ms in enumerate(stages)
    ]
    return {"stages": listed, "batch_sizes": [1, 2, 4, 8], "slicing_tax": tax}


UNET = document(ENDS, MIDDLE, ENDS, tax={"8": 1.12, "1": 1.01, "2": 1.03})


def stars(axes: Axes) -> list[tuple[float, float]]:
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))  # type: ignore[index, arg-type]
        for line in axes.lines
        if line.get_marker() == "*"
    ]


def test_the_same_profile_gives_the_same_bytes_and_leaves_no_state(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    drawn = draw_profiles({"unet": UNET}, tmp_path / "one", "unet · 3 stages")
    assert [file.name for file in drawn] == ["favored.svg", "favored.png", "tax.svg", "tax.png"]
    named = draw_profiles({"unet": UNET}, tmp_path / "two" / "unet.png", "unet · 3 stages")
    assert [file.name for file in named] == ["unet.svg", "unet.png", "unet_tax.svg", "unet_tax.png"]
    for one, other in zip(drawn, named, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert dict(mpl.rcParams) == before
    svg = drawn[0].read_text()
    assert "<svg" in svg
    assert "<dc:date>" not in svg


def test_a_folder_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "plots.svg").mkdir()
    only_tax = {"small": {"stages": [], "slicing_tax": {"1": 1.0}}}
    drawn = draw_profiles(only_tax, tmp_path / "plots.svg", "small")
    assert [str(file.relative_to(tmp_path)) for file in drawn] == ["plots.svg/tax.svg", "plots.svg/tax.png"]


def test_the_favoured_batch_is_the_profiles() -> None:
    figure = favored_figure({"unet": UNET})
    assert figure is not None
    (axes,) = figure.axes
    profile = Profile.from_table({"stages": [{"latency_ms": times} for times in (ENDS, MIDDLE, ENDS)]})
    favored = [profile.favored_batch(stage) for stage in range(3)]
    assert favored[0] == favored[2] < favored[1]
    assert [size for size, _ in stars(axes)] == favored
    for stage, (size, a_row) in enumerate(stars(axes)):
        own = profile.stage_ns(stage, int(size), 0) / size
        assert a_row == pytest.approx(own / profile.stage_ns(stage, 1, 0))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("batch (rows)", "time a row\n(1: as at batch 1)")
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["stage 0", "stage 1", "stage 2", "favoured batch"]


def test_a_panel_for_each_title_and_lane() -> None:
    figure = favored_figure({"unet": UNET, "bert": document(ENDS, ENDS, lanes=(64, 8)), "dot": document({"1": 1.0})})
    assert figure is not None
    assert [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes] == [
        "unet",
        "bert, length 8",
        "bert, length 64",
    ]
    assert [len(stars(axes)) for axes in figure.axes] == [3, 2, 2]


def test_the_tax_is_drawn_by_rising_batch_with_its_mark() -> None:
    figure = tax_figure({"unet": UNET, "table": document(ENDS)})
    assert figure is not None
    (axes,) = figure.axes
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]  # type: ignore[arg-type]
    assert ([1, 2, 8], [1.01, 1.03, 1.12]) in drawn
    assert [MODEST_TAX, MODEST_TAX] in [values for _, values in drawn]
    assert [text.get_text() for text in axes.texts] == ["1.05"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["unet"]


def test_nothing_to_draw_is_no_figure(tmp_path: Path) -> None:
    dot = {"dot": document({"1": 1.0})}
    for profiles in ({}, dot, {"empty": {"stages": [], "slicing_tax": None}}):
        assert favored_figure(profiles) is None
        assert tax_figure(profiles) is None
    assert draw_profiles(dot, tmp_path, "dot") == []


@pytest.mark.parametrize(
    "stages", [[{"stage": 0, "lane": None}], [{"stage": 0, "lane": None, "latency_ms": {"1": "much"}}], [1]]
)
def test_what_is_no_profile_is_refused_by_its_title(stages: list[Any]) -> None:
    with pytest.raises(ReportError, match=r"the profile of 'odd' cannot be drawn.*measure it anew"):
        favored_figure({"odd": {"stages": stages}})
