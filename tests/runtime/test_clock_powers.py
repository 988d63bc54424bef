"""By which power of its clock a card takes longer that is none: that falls while it is at work, and rises while it rests."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dvabatch.batching.curve import Curve
from dvabatch.runtime.clock_powers import ClockPowers

HIGHEST, LOWEST = 2000.0, 1250.0
SM_MHZ = Curve(((1.0, HIGHEST), (8.0, LOWEST)))


class Card:
    """Its time goes by what it is asked to do."""

    def __init__(self, powers: Mapping[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        self.hot = True
        self.asked: list[tuple[int, int]] = []
        self.powers = powers
        self.heard: float | None = LOWEST
        self.noted: list[tuple[int, int]] = []
        self.told: list[str] = []
        monkeypatch.setattr("time.sleep", self.rest)
        monkeypatch.setattr("time.perf_counter_ns", lambda: self.now_ns)

    def rest(self, seconds: float) -> None:
        assert seconds == 0.5
        self.hot = False

    def repeated_ns(self, size: int, count: int) -> float:
        self.asked.append((size, count))
        clocks = HIGHEST / LOWEST if self.hot else 1.0
        each_ns = 1e6 * size * clocks ** self.powers[size]
        self.now_ns += round(count * each_ns)
        self.hot = self.hot or size == 8  # one burst of it is enough, and is over before the clock falls
        return each_ns

    def clock(self, began_ns: int, ended_ns: int) -> float | None:
        self.noted.append((began_ns, ended_ns))
        return self.heard


def powers_of(card: Card, sm_mhz: Curve | None = SM_MHZ) -> Curve | None:
    powers = ClockPowers(card.repeated_ns, card.clock, rest_s=0.5, heat_s=0.25, progress=card.told.append)
    return powers.measure([1, 4, 8], lambda size: 16 // size, sm_mhz)


def test_a_power_is_told_by_the_same_batches_on_a_card_that_rested_and_on_one_that_was_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card({1: 0.95, 4: 0.7, 8: 0.5}, monkeypatch)
    found = powers_of(card)
    assert found is not None
    assert dict(found.points) == pytest.approx(card.powers)
    assert set(card.asked) == {(1, 16), (4, 4), (8, 2)}
    assert card.told == [f"timing by the clock, batch {size}" for size in card.powers]
    heated_ns = [ended_ns - began_ns for began_ns, ended_ns in card.noted]
    assert len(heated_ns) == 3 * 2
    assert all(125e6 <= lasted_ns <= 125e6 + 2 * 8e6 * HIGHEST / LOWEST for lasted_ns in heated_ns), (
        "the second half of it"
    )


def test_a_power_lies_between_none_and_the_clock_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = powers_of(Card({1: 1.3, 4: 0.7, 8: -0.2}, monkeypatch))
    assert found is not None
    assert [power for _, power in found.points] == pytest.approx([1.0, 0.7, 0.0])


@pytest.mark.parametrize("sm_mhz", [None, Curve(((1.0, 2000.0), (8.0, 1941.0)))])
def test_a_clock_that_does_not_fall_or_is_not_known_tells_nothing_and_nothing_is_timed(
    sm_mhz: Curve | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card({1: 1.0, 4: 1.0, 8: 1.0}, monkeypatch)
    assert powers_of(card, sm_mhz) is None
    assert not card.asked
    assert not card.told


@pytest.mark.parametrize("heard", [None, 1941.0])
def test_a_clock_that_is_not_heard_of_or_does_not_fall_this_time_tells_nothing(
    heard: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card({1: 1.0, 4: 1.0, 8: 1.0}, monkeypatch)
    card.heard = heard
    assert powers_of(card) is None
