"""Of which turn a crowd is, at what pace its host is reckoned, and what its batches would take alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from dvabatch.batching.costs import Costs
from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.crowds import Crowds
from dvabatch.runtime.driven import Crowded, Driven, Queue
from dvabatch.runtime.loops import Alike, Series, responses_ns
from tests.runtime.profiled import MAX_BATCH, STAGES, profiled

LIMITS = Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2)
SLOWDOWNS = {2: 1.4, 4: 1.9, 8: 3.5}


def a_crowd(queueing_ns: float, response_ns: float) -> Crowded:
    return Crowded(np.asarray([queueing_ns], np.int64), np.asarray([response_ns], np.int64))


def test_a_crowd_is_that_of_the_turn_in_which_the_host_was_fastest_whatever_came_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: dict[int, list[Crowded]] = {}

    def crowded(
        self: Driven, draft: Profile, policy: Policy, batch: int, arrivals_ns: Sequence[int], lane: int = 0
    ) -> Crowded:
        found = turns.setdefault(batch, [])
        found.append(a_crowd((30.0, 10.0, 20.0)[len(found) % 3], (4e8, 6e8, 5e8)[len(found) % 3]))
        return found[-1]

    believed: list[float] = []

    def slowdown(measured_ns: float, *others: object) -> float:
        believed.append(measured_ns)
        return 1.0

    monkeypatch.setattr(Driven, "crowded", crowded)
    monkeypatch.setattr("dvabatch.runtime.crowds.slowdown_at_once", slowdown)
    profiled(LIMITS)
    assert believed
    assert set(believed) == {6e8}  # the longest, and yet the host was fastest


@pytest.mark.parametrize(("queueing_ns", "host_ns"), [(5_000.0, 10_000), (10_000.0, 20_000), (30_000.0, 60_000)])
def test_what_the_host_adds_to_a_crowd_goes_by_its_pace_there(
    queueing_ns: float, host_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike: list[Alike] = []

    def slowdown(measured_ns: float, series: Sequence[Series], *others: object) -> float:
        alike.extend(each.alike for each in series)
        return 1.0

    monkeypatch.setattr(Driven, "queued", lambda *_: Queue(5e9, 20_000, 10_000))
    monkeypatch.setattr(Driven, "crowded", lambda *_: a_crowd(queueing_ns, 1e9))
    monkeypatch.setattr("dvabatch.runtime.crowds.slowdown_at_once", slowdown)
    profiled(LIMITS)
    assert {of.host_ns for of in alike} == {host_ns}


class Device:
    """One that is simulated: a batch alone takes 3 ms, and up to half as long again, by turns as its clock has it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[int, float, float, int]] = []
        self.series: list[tuple[int, ...]] = []
        monkeypatch.setattr(Driven, "queued", self.queued)
        monkeypatch.setattr(Driven, "crowded", self.crowded)
        monkeypatch.setattr(Driven, "alone_ns", self.alone_ns)

    @staticmethod
    def took_ns(turn: int) -> float:
        return 3e6 * (1.25 + 0.25 * math.sin(turn))

    def queued(self, draft: Profile, policy: Normal, batch: int, count: int, at_once: int, lane: int) -> Queue:
        return Queue(3e6 * SLOWDOWNS[at_once], 0.0, 0.0)

    def crowded(self, draft: Profile, policy: Normal, batch: int, arrivals_ns: tuple[int, ...], lane: int) -> Crowded:
        self.series.append(arrivals_ns)
        curve = Curve(((1.0, 1.0), *((float(count), slowdown) for count, slowdown in SLOWDOWNS.items())))
        turn = len(self.asked)
        alike = Alike(round((self.took_ns(turn - 1) + self.took_ns(turn)) / 2))
        spent_ns = responses_ns(curve.at, arrivals_ns, alike, policy.entry.instances)
        return Crowded(np.asarray([10_000]), np.asarray(spent_ns))

    def alone_ns(self, batch: int, lasting_s: float, expected_ns: float, lane: int) -> float:
        self.asked.append((batch, lasting_s, expected_ns, lane))
        return self.took_ns(len(self.asked) - 1)


DRAFT = Profile.from_table({"name": "draft", "stages": [{"latency_ms": {"4": 3.0}}]})


def crowds_of(launches: int) -> Crowds:
    driven = Driven.__new__(Driven)  # all that is asked of it is the device's
    return Crowds(driven, DRAFT, cycles=4, launches=launches, alone_s=0.01)


def test_a_clock_that_sinks_and_rises_is_no_slowdown(monkeypatch: pytest.MonkeyPatch) -> None:
    Device(monkeypatch)
    crowds = crowds_of(160)
    for most in SLOWDOWNS:
        crowds.add(0, 4, most)
    crowds.take_turn()
    assert dict(crowds.slowdowns(Costs())[0][4].points) == pytest.approx(SLOWDOWNS, rel=0.002)


@pytest.mark.parametrize(("launches", "series"), [(160, [40] * 4), (100, [50] * 2), (20, [20])])
def test_batches_are_alone_before_the_first_series_and_behind_each(
    launches: int, series: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(monkeypatch)
    crowds = crowds_of(launches)
    crowds.add(0, 4, 2)
    crowds.take_turn()
    assert [len(each) for each in device.series] == series
    assert len(set(device.series)) == len(series), "no two alike"
    assert device.asked == [(4, 0.01, 3e6, 0)] * (len(series) + 1)


def test_what_lasts_has_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    crowds = crowds_of(160)
    crowds.add(0, 4, 2)  # 4.2 ms / 2 / 0.75 between two of 160: 0.45 s
    crowds.add(0, 4, 4)  # 1.9 / 4 * 2 / 1.4 of that: 0.3 s
    for _ in range(3):
        crowds.take_turn()
    short = len(device.series)
    longer = crowds_of(200)
    longer.add(0, 4, 2)
    for _ in range(3):
        longer.take_turn()
    assert (short, len(device.series) - short) == (3 * 8, 5)
