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
from dvabatch.batching.place import Place
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.crowds import Crowds
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_profiling import DeviceProfiler
from dvabatch.runtime.driven import Crowded, Driven, Queue
from dvabatch.runtime.loops import Alike, Series, responses_ns
from tests.runtime.profiled import EFFORT, MAX_BATCH, STAGES, profiled

LIMITS = Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2)
SLOWDOWNS = {2: 1.4, 4: 1.9, 8: 3.5}


def a_crowd(queueing_ns: float, response_ns: float) -> Crowded:
    queueing, response = np.asarray([queueing_ns], np.int64), np.asarray([response_ns], np.int64)
    return Crowded(9 * queueing, queueing, response)


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


CHAIN = 1.04  # what a chain takes over its stages, timed apart
LANES = {
    "16": {"stages": [{"latency_ms": {"2": 2.0, "4": 3.0}}]},
    "64": {"stages": [{"latency_ms": {"2": 5.0, "4": 9.0}}]},
}
DRAFT = Profile.from_table({"name": "draft", "lanes": LANES, "batch_sizes": [2, 4]})
CROWDS = [(lane, size, most) for lane in (0, 1) for size in (2, 4) for most in SLOWDOWNS]


def took_ns(batch: int, lane: int) -> int:
    return DRAFT.span_ns(0, 0, batch, lane)


class Device:
    """One that is simulated as it is profiled, but for its clock: by turns all takes up to half as long again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[int, float, float, int]] = []
        self.series: list[tuple[int, ...]] = []
        self.lonely = False
        self.gap_ns = 0
        monkeypatch.setattr(Driven, "queued", self.queued)
        monkeypatch.setattr(Driven, "crowded", self.crowded)
        monkeypatch.setattr(Driven, "alone_ns", self.alone_ns)

    @staticmethod
    def clock(turn: int) -> float:
        return max(1.0, 1.2 + 0.3 * math.sin(turn))

    def queued(self, draft: Profile, policy: Normal, batch: int, count: int, at_once: int, lane: int) -> Queue:
        return Queue(took_ns(batch, lane) * SLOWDOWNS[at_once], 0.0, 0.0)

    def crowded(self, draft: Profile, policy: Normal, batch: int, arrivals_ns: tuple[int, ...], lane: int) -> Crowded:
        self.series.append(arrivals_ns)
        curve = Curve(((1.0, 1.0), *((float(count), slowdown) for count, slowdown in SLOWDOWNS.items())))
        turn = len(self.asked)
        alike = Alike(round(took_ns(batch, lane) * (self.clock(turn - 1) + self.clock(turn)) / 2))
        spent_ns = responses_ns(curve.at, arrivals_ns, alike, policy.entry.instances)
        queueing_ns = np.asarray([1_000 * len(self.series)])
        beside_others_ns = queueing_ns[:0] if self.lonely or len(self.series) % 2 else 2 * queueing_ns
        return Crowded(queueing_ns, beside_others_ns, np.asarray(spent_ns))

    def alone_ns(self, batch: int, lasting_s: float, expected_ns: float, lane: int) -> float:
        self.asked.append((batch, lasting_s, expected_ns, lane))
        return CHAIN * took_ns(batch, lane) * self.clock(len(self.asked) - 1) + self.gap_ns


def crowds_of(launches: int) -> Crowds:
    driven = Driven.__new__(Driven)  # all that is asked of it is the device's
    return Crowds(driven, DRAFT, [{2: 1 / CHAIN, 4: 1 / CHAIN}] * 2, cycles=4, launches=launches, alone_s=0.01)


@pytest.mark.parametrize("gap_ns", [0, 300_000])
def test_a_clock_is_no_slowdown_nor_is_what_a_chain_takes_longer_than_its_stages_nor_a_gap_between_chains(
    gap_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock sinks and rises; chains by themselves come so far apart, which they did not when the draft was measured."""
    Device(monkeypatch).gap_ns = gap_ns
    crowds = crowds_of(160)
    for lane, size, most in CROWDS:
        crowds.add(lane, size, most)
    crowds.take_turn()
    for of_lane in crowds.slowdowns(Costs()):
        for size in (2, 4):
            assert dict(of_lane[size].points) == pytest.approx(SLOWDOWNS, rel=0.002)


@pytest.mark.parametrize(
    ("launches", "most", "series"),
    [(160, 2, [40] * 4), (160, 4, [80] * 2), (160, 8, [80] * 2), (100, 2, [50] * 2), (20, 2, [20]), (60, 8, [60])],
)
@pytest.mark.parametrize(("lane", "size"), [(0, 2), (1, 4)])
def test_batches_are_alone_before_the_first_series_and_behind_each(
    launches: int, most: int, series: list[int], lane: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(monkeypatch)
    crowds = crowds_of(launches)
    crowds.add(lane, size, most)
    crowds.take_turn()
    assert [len(each) for each in device.series] == series
    assert len(set(device.series)) == len(series), "no two alike"
    assert device.asked == [(size, 0.01, took_ns(size, lane), lane)] * (len(series) + 1)


def test_what_lasts_has_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    for launches in (160, 200):  # 3 ms x 1.4 / 2 / 0.75 from one to the next: 0.44 and 0.55 s
        crowds = crowds_of(launches)
        crowds.add(0, 4, 2)
        for _ in range(3):
            crowds.take_turn()
        assert len(device.series) == (3 * 4 if launches == 160 else 5)
        device.series.clear()


@pytest.mark.parametrize(("lonely", "queueing_ns"), [(False, (2 * 2_000 + 2 * 4_000) / 2), (True, 2_500)])
def test_the_host_s_pace_is_that_of_all_series_by_launches_beside_others_if_there_were_any(
    lonely: bool,
    queueing_ns: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = Device(monkeypatch)
    device.lonely = lonely
    told: list[Series] = []

    def slowdown(measured_ns: float, series: Sequence[Series], *others: object) -> float:
        told.extend(series)
        return 1.0

    monkeypatch.setattr("dvabatch.runtime.crowds.slowdown_at_once", slowdown)
    crowds = crowds_of(160)
    crowds.add(0, 4, 2)
    crowds.take_turn()
    thread = {"launch_ns": 10_000, "launch_busy_ns": 10_000, "wake_ns": 5_000}
    crowds.slowdowns(Costs(**thread, queueing_ns=1_000, launch_busy_ns_per_row=0))
    assert [each.alike.host_ns for each in told] == [pytest.approx(10 * queueing_ns, rel=0.01)] * 4
    assert [each.alike.wake_ns for each in told] == [pytest.approx(5 * queueing_ns, rel=0.01)] * 4


@pytest.mark.parametrize(
    ("smallest_ns", "alone_ns"),
    [(2.5e6, {2_000_000, 4_000_000}), (2.7e6, {2_000_000, 3_840_000}), (2.0e6, {1_600_000, 4_000_000})],
)
def test_chains_are_held_against_their_stages_and_run_alone_for_half_of_what_a_figure_takes(
    smallest_ns: float, alone_ns: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stages of one ms each, and their chain of 2.5. What the smallest takes longer now is left out, and not what it takes
    less."""

    def repeated_ms(
        self: DeviceProfiler, launcher: DeviceLauncher, first: int, last: int, place: Place, lane: int
    ) -> float:
        return 2.5 if last > first else 1.0

    lasting_s: list[float] = []

    def lone_ns(self: Driven, batch: int, lasting: float, expected_ns: float, lane: int = 0) -> float:
        lasting_s.append(lasting)
        return smallest_ns if batch == 1 else 5e6

    told: list[int] = []

    def slowdown(measured_ns: float, series: Sequence[Series], *others: object) -> float:
        told.extend(each.alike.alone_ns for each in series)
        return 1.0

    monkeypatch.setattr(DeviceProfiler, "_repeated_ms", repeated_ms)
    monkeypatch.setattr(Driven, "alone_ns", lone_ns)
    monkeypatch.setattr("dvabatch.runtime.crowds.slowdown_at_once", slowdown)
    profiled(LIMITS)
    assert set(lasting_s) == {EFFORT.budget_s / 2}
    assert set(told) == alone_ns
