"""Of which turn a crowd is, and at what pace its host is reckoned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.place import Place
from dvabatch.batching.profile import Profile
from dvabatch.runtime.at_once import AtOnce
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_profiling import DeviceProfiler, finer_sizes
from dvabatch.runtime.driven import Crowded, Driven, Queue
from dvabatch.runtime.loops import Alike
from tests.runtime.profiled import MAX_BATCH, STAGES, profiled


def test_a_crowd_is_that_of_the_turn_in_which_the_host_was_fastest_whatever_came_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: dict[int, list[Crowded]] = {}

    def crowded(
        self: Driven, draft: Profile, policy: Policy, batch: int, arrivals_ns: Sequence[int], lane: int = 0
    ) -> Crowded:
        found = turns.setdefault(batch, [])
        found.append(Crowded((30.0, 10.0, 20.0)[len(found) % 3], (4e8, 6e8, 5e8)[len(found) % 3]))
        return found[-1]

    believed: list[float] = []

    def slowdown(measured_ns: float, *others: object) -> float:
        believed.append(measured_ns)
        return 1.0

    monkeypatch.setattr(Driven, "crowded", crowded)
    monkeypatch.setattr("dvabatch.runtime.crowds.slowdown_at_once", slowdown)
    profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2))
    assert believed
    assert set(believed) == {6e8}  # the longest, and yet the host was fastest


def test_no_crowd_follows_one_that_is_far_heavier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock that is told right behind a heavy one may still be its."""
    sizes: list[tuple[int, int]] = []

    def crowded(
        self: Driven, draft: Profile, policy: Policy, batch: int, arrivals_ns: Sequence[int], lane: int = 0
    ) -> Crowded:
        sizes.append((batch, lane))
        return Crowded(1.0, 1.0)

    def repeated_ms(
        self: DeviceProfiler, launcher: DeviceLauncher, first: int, last: int, place: Place, lane: int
    ) -> float:
        return place.rows * (1 + 2 * lane)

    monkeypatch.setattr(DeviceProfiler, "_repeated_ms", repeated_ms)
    monkeypatch.setattr(AtOnce, "_at_once_ms", lambda *_: 1e3)  # each fills the device
    monkeypatch.setattr(Driven, "queued", lambda *_: Queue(1e6, 20_000, 10_000))
    monkeypatch.setattr(Driven, "crowded", crowded)
    profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2, lanes=(4, 8)))
    assert sizes == [(4, 1), (2, 1), (4, 0), (1, 1), (2, 0), (1, 0)] * 3


@pytest.mark.parametrize(("queueing_ns", "host_ns"), [(5_000.0, 10_000), (10_000.0, 20_000), (30_000.0, 60_000)])
def test_what_the_host_adds_to_a_crowd_goes_by_its_pace_there(
    queueing_ns: float, host_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike: list[Alike] = []

    def slowdown(measured_ns: float, arrivals_ns: Sequence[int], of: Alike, *others: object) -> float:
        alike.append(of)
        return 1.0

    monkeypatch.setattr(Driven, "queued", lambda *_: Queue(5e9, 20_000, 10_000))
    monkeypatch.setattr(Driven, "crowded", lambda *_: Crowded(queueing_ns, 1e9))
    monkeypatch.setattr("dvabatch.runtime.crowds.slowdown_at_once", slowdown)
    profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2))
    assert {of.host_ns for of in alike} == {host_ns}


@pytest.fixture
def alone_ns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each crowd is told to take by itself, where each span takes 3 ms."""
    told: list[int] = []

    def slowdown(measured_ns: float, arrivals_ns: Sequence[int], of: Alike, *others: object) -> float:
        told.append(of.alone_ns)
        return 1.0

    monkeypatch.setattr(DeviceProfiler, "_repeated_ms", lambda *_: 3.0)
    monkeypatch.setattr(AtOnce, "_at_once_ms", lambda *_: 1e3)  # each fills the device
    monkeypatch.setattr(Driven, "queued", lambda *_: Queue(5e9, 20_000, 10_000))
    monkeypatch.setattr(Driven, "crowded", lambda *_: Crowded(10_000.0, 1e9))
    monkeypatch.setattr("dvabatch.runtime.crowds.slowdown_at_once", slowdown)
    return told


def test_a_lower_clock_beside_others_is_no_slowdown(alone_ns: list[int]) -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2)
    clocks = iter([2000.0] * len(finer_sizes(MAX_BATCH)) + [1600.0] * 100)
    profiled(limits, clock=lambda *_: next(clocks))
    assert set(alone_ns) == {STAGES * 3_750_000}  # at 1600 of 2000 MHz


def test_a_curve_of_which_one_crowd_s_clock_is_not_known_is_told_at_none(alone_ns: list[int]) -> None:
    timed = len(finer_sizes(MAX_BATCH))
    # Sizes 1, 2 and 4, 4 at once of each and then 2: of the second size nobody knows the latter.
    clocks = iter([2000.0] * timed + [1600.0, 1600.0, 1600.0, 1600.0, None, 1600.0] + [1600.0] * 12)
    asked: list[tuple[int, int]] = []

    def clock(began_ns: int, ended_ns: int) -> float | None:
        asked.append((began_ns, ended_ns))
        return next(clocks)

    profiled(Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=4), clock=clock)
    assert alone_ns == [STAGES * 3_750_000] * 2 + [STAGES * 3_000_000] * 2 + [STAGES * 3_750_000] * 2
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(asked)), "each of its own turn"
