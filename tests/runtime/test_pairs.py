"""Launches of two sizes side by side: what their ends tell, and how they weigh by that."""

from __future__ import annotations

import pytest

from dvabatch.batching.crowding import weight
from dvabatch.batching.curve import Curve
from dvabatch.runtime.pairs import Beside, exponent, slowdowns

SMALL = Curve(((1, 1.0), (2, 1.4), (4, 1.6), (8, 2.4)))
LARGE = Curve(((1, 1.0), (2, 1.8), (4, 3.6), (8, 7.6)))


@pytest.mark.parametrize("small", [1.0, 2.5, 6.0])
@pytest.mark.parametrize("large", [1.0, 1.2, 1.9])
def test_slowdowns_are_told_by_who_was_done_when(small: float, large: float) -> None:
    alone_ms = (10.0, 100.0)
    together_ms = small * alone_ms[0]
    left_ms = alone_ms[1] - together_ms / large  # of the large ones, by themselves
    told = slowdowns(alone_ms, (together_ms, together_ms + left_ms))
    assert told == (pytest.approx(small), pytest.approx(large))


def test_who_was_done_together_and_who_had_nothing_beside_it_tell_nothing() -> None:
    assert slowdowns((10.0, 100.0), (120.0, 121.0)) is None
    assert slowdowns((10.0, 100.0), (10.0, 110.0)) is None


def test_nothing_is_faster_beside_another_one() -> None:
    assert slowdowns((10.0, 100.0), (9.0, 98.0)) == (1.0, pytest.approx(1.0, abs=1e-9))


@pytest.mark.parametrize("true", [0.0, 0.4, 0.75, 1.0])
def test_the_exponent_is_that_which_made_the_slowdowns(true: float) -> None:
    found = []
    for few_ns, many_ns in ((1.0, 3.0), (1.0, 12.0), (3.0, 12.0)):
        ratio = weight(many_ns, true) / weight(few_ns, true)
        found.append(Beside(SMALL, few_ns, many_ns, SMALL.at(1 + ratio)))
        found.append(Beside(LARGE, many_ns, few_ns, LARGE.at(1 + 1 / ratio)))
    assert exponent(found) == pytest.approx(true, abs=0.011)


@pytest.mark.parametrize("measured", [1.0, 1.01, 1.03])
def test_of_launches_that_hardly_slow_each_other_down_there_is_no_exponent(measured: float) -> None:
    nearly_flat = Curve(((1, 1.0), (2, 1.005), (8, 1.01)))
    assert exponent([Beside(nearly_flat, 1.0, 4.0, measured), Beside(nearly_flat, 4.0, 1.0, 1.0)]) is None
    assert exponent([]) is None
