"""Several at once on a device: the slowdown curve, and two sizes side by side."""

from __future__ import annotations

import time

import pytest

from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
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
    found = measured._beside(1, 4, 0, CHAIN_MS, SHARE, ALIKE)
    assert tried.pop(0) == 1  # to begin with
    return found, tried


def test_two_sizes_side_by_side_tell_how_much_each_slows_down(monkeypatch: pytest.MonkeyPatch) -> None:
    (few, many), tried = side_by_side(monkeypatch, 1.9, 1.2)
    assert (few.device_ms, few.other_ms, few.slowdown) == (0.25, 8.0, pytest.approx(1.9))
    assert (many.device_ms, many.other_ms, many.slowdown) == (8.0, 0.25, pytest.approx(1.2))
    assert (few.alike, many.alike) == (ALIKE[1], ALIKE[4])
    assert tried == [40, 40]


def test_small_ones_that_were_not_done_first_are_tried_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    (few, many), tried = side_by_side(monkeypatch, 7.0, 1.1)
    assert (few.slowdown, many.slowdown) == (pytest.approx(7.0), pytest.approx(1.1))
    assert tried == [40, 20, 10, 10]


def test_two_tracks_are_filled_side_by_side_and_asked_one_after_the_other() -> None:
    did: list[tuple[str, int]] = []

    class Launcher:
        def repeat(self, track: int, first: int, last: int, place: Place, lane: int) -> None:
            assert (first, last, place, lane) == (0, STAGES - 1, Place(track, 0, (1, 4)[track]), 1)
            did.append(("queue", track))

        def synchronize(self, track: int) -> None:
            did.append(("wait", track))
            time.sleep(0.002)

    measured = AtOnce(Launcher(), LIMITS, 0.04, 2, lambda _: None)  # type: ignore[arg-type]
    small_ms, large_ms = measured._done_ms((1, 4), (4, 2), 1)
    assert did[-2:] == [("wait", 0), ("wait", 1)]
    queued = [track for what, track in did[:-2] if what == "queue"]
    assert (queued.count(0), queued.count(1)) == (4, 2)
    assert all(abs(queued[:n].count(0) - 2 * queued[:n].count(1)) <= 2 for n in range(len(queued) + 1))
    assert 2 <= small_ms < large_ms


def test_the_exponent_is_that_of_the_middle_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def beside(self: AtOnce, small: int, large: int, lane: int, *others: object) -> list[Beside]:
        asked.append(lane)
        return [Beside(ALIKE[4], 1.0, 0.25, 1.5)]

    monkeypatch.setattr(AtOnce, "_beside", beside)
    run, _, _ = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2, lanes=(2, 4, 8)))
    assert set(asked) == {1}
    assert run.profile.to_table()["crowding_exponent"] == pytest.approx(0.5)


def test_what_cannot_be_told_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried = side_by_side(monkeypatch, 500.0, 1.0)
    assert found == []
    assert tried == [40, 20, 10, 5, 2, 1]


def test_sums_of_shares_that_lie_close_make_one_point_and_the_curve_never_falls() -> None:
    assert rising([(1.6, 1.1), (0.42, 1.4), (0.38, 1.2)]).points == (
        (0.4, pytest.approx(1.3)),
        (1.6, pytest.approx(1.3)),
    )
