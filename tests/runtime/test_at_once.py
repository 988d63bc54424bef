"""Several at once on a device: the slowdown curve, and two sizes side by side."""

from __future__ import annotations

import pytest

from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.runtime.at_once import AtOnce, rising
from dvabatch.runtime.pairs import Beside
from tests.runtime.profiled import MAX_BATCH, STAGES, profiled

LIMITS = Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2)
CHAIN_MS = {1: 1.0, 4: 8.0}
SHARE = {1: 0.25, 4: 1.0}
ALIKE = {1: Curve(((1, 1.0), (2, 1.5))), 4: Curve(((1, 1.0), (2, 2.0)))}


def side_by_side(monkeypatch: pytest.MonkeyPatch, small: float, large: float) -> tuple[list[Beside], list[int]]:
    """What is told of two sizes of which each slows down so much beside the other, and how many small ones were tried."""
    tried: list[int] = []

    def done_ms(self: AtOnce, sizes: tuple[int, int], counts: tuple[int, int], lane: int) -> tuple[float, float]:
        tried.append(counts[0])
        alone = [count * CHAIN_MS[size] for count, size in zip(counts, sizes, strict=True)]
        slow = [alone[0] * small, alone[1] * large]
        if slow[0] <= slow[1]:
            return slow[0], slow[0] + alone[1] - slow[0] / large
        both = slow[1] + alone[0] - slow[1] / small
        return both, both  # the second is asked when the first is done

    monkeypatch.setattr(AtOnce, "_done_ms", done_ms)
    _, launcher, _ = profiled(LIMITS)
    tried.clear()
    measured = AtOnce(launcher, LIMITS, 0.04, 2, lambda _: None)
    return measured._beside(1, 4, CHAIN_MS, SHARE, ALIKE), tried


def test_two_sizes_side_by_side_tell_how_much_each_slows_down(monkeypatch: pytest.MonkeyPatch) -> None:
    (few, many), tried = side_by_side(monkeypatch, 1.9, 1.2)
    assert (few.device_ns, few.other_ns, few.slowdown) == (0.25, 8.0, pytest.approx(1.9))
    assert (many.device_ns, many.other_ns, many.slowdown) == (8.0, 0.25, pytest.approx(1.2))
    assert (few.alike, many.alike) == (ALIKE[1], ALIKE[4])
    assert tried == [40, 40]


def test_small_ones_that_were_not_done_first_are_tried_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    (few, many), tried = side_by_side(monkeypatch, 7.0, 1.1)
    assert (few.slowdown, many.slowdown) == (pytest.approx(7.0), pytest.approx(1.1))
    assert tried == [40, 20, 10, 10]


def test_what_cannot_be_told_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried = side_by_side(monkeypatch, 500.0, 1.0)
    assert found == []
    assert tried == [40, 20, 10, 5, 2, 1]


def test_sums_of_shares_that_lie_close_make_one_point_and_the_curve_never_falls() -> None:
    assert rising([(1.6, 1.1), (0.42, 1.4), (0.38, 1.2)]).points == (
        (0.4, pytest.approx(1.3)),
        (1.6, pytest.approx(1.3)),
    )
