from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.reporting.figure_parts import _BASELINE, _COLOURS
from dvabatch.reporting.page.palette import DARK_PAPER, dark_of, dark_rules


def light(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_paper_becomes_paper_and_ink_becomes_light() -> None:
    assert dark_of("#ffffff") == DARK_PAPER
    assert contrast(dark_of("#000000"), DARK_PAPER) > 12
    assert contrast(dark_of("#333333"), DARK_PAPER) > 7
    assert contrast(dark_of("#666666"), DARK_PAPER) > 4.5
    assert 1.1 < contrast(dark_of("#e4e4e4"), DARK_PAPER) < 2  # the grid stays faint


@pytest.mark.parametrize("colour", [*_COLOURS, *(colour for colour, _ in _BASELINE.values()), "#440154"])
def test_every_line_stands_off_the_dark_paper(colour: str) -> None:
    assert contrast(dark_of(colour.lower()), DARK_PAPER) >= 3


def test_policies_stay_apart() -> None:
    assert len({dark_of(colour.lower()) for colour in _COLOURS}) == len(_COLOURS)


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_any_colour_becomes_a_colour(colour: str) -> None:
    assert len(dark_of(colour)) == 7
    int(dark_of(colour)[1:], 16)


def test_rules_are_of_the_colours_that_are_painted_and_of_nothing_else() -> None:
    rules = dark_rules(['<path fill="none" stroke="#333333"/>', '<text fill="url(x)">fill="#bad}"</text>', "#444444"])
    assert rules.splitlines() == [
        f'.chart [fill="#333333"] {{ fill: {dark_of("#333333")} }}',
        f'.chart [stroke="#333333"] {{ stroke: {dark_of("#333333")} }}',
    ]
