"""The profile of a device, measured on one that is none: what is there, and what it is made of, not how long it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle, groupby

import numpy as np
import pytest

from dvabatch.batching.costs import Costs
from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.place import Place
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.clock_powers import ClockPowers
from dvabatch.runtime.crowds import Crowds
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_profiling import DeviceProfiler, finer_sizes
from dvabatch.runtime.driven import Crowded, Driven, Queue
from tests.runtime import profiled as profiling_rig
from tests.runtime.profiled import MAX_BATCH, STAGES, profiled


@pytest.mark.parametrize("lanes", [(None,), (4, 8)])
def test_every_stage_lane_size_and_cost_is_there(lanes: tuple[int | None, ...]) -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=4, lanes=lanes)
    run, _, told = profiled(limits)
    profile = run.profile
    assert (profile.stages, profile.lanes, profile.max_batch) == (STAGES, lanes, MAX_BATCH)
    assert all(
        profile.stage_ns(stage, batch, lane) > 0 and 0 < profile.share(stage, batch, lane) <= 1
        for lane in range(len(lanes))
        for stage in range(STAGES)
        for batch in range(1, MAX_BATCH + 1)
    )
    assert all(profile.whole_ns(batch, 0) > 0 for batch in range(1, MAX_BATCH + 1))
    assert sorted(run.slicing_tax) == [1, 2, 4]
    assert profile.costs.copy_ns_per_row > 0
    assert 1.0 <= profile.slowdown(0.5) <= profile.slowdown(1.0) <= profile.slowdown(3.0)
    assert profile.crowding is not None
    assert len(profile.crowding) == len(lanes)
    for of_lane in profile.crowding:
        numbers = {size: [x for x, _ in curve.points] for size, curve in of_lane.by_size.items()}
        assert numbers == {size: [2, 4] for size in (1, 2, 4)}
    assert "fake 1" in profile.source
    assert any("at once" in line for line in told)


def test_what_does_not_begin_its_set_costs_more_by_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def repeated_ms(
        self: DeviceProfiler, launcher: DeviceLauncher, first: int, last: int, place: Place, lane: int
    ) -> float:
        return 1.0 + (0.03 + 0.02 * place.rows if place.first_row else 0.0)

    monkeypatch.setattr(DeviceProfiler, "_repeated_ms", repeated_ms)
    costs = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=1))[0].profile.costs
    assert (costs.bounce_ns, costs.bounce_ns_per_row) == (pytest.approx(30_000, abs=1), pytest.approx(20_000, abs=1))


def test_a_clock_that_sinks_while_stages_are_timed_makes_no_tax(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def repeated_ms(
        self: DeviceProfiler, launcher: DeviceLauncher, first: int, last: int, place: Place, lane: int
    ) -> float:
        nonlocal calls
        calls += 1
        return 1.0 + 0.01 * calls

    monkeypatch.setattr(profiling_rig, "EFFORT", replace(profiling_rig.EFFORT, rounds=2))
    monkeypatch.setattr(DeviceProfiler, "_repeated_ms", repeated_ms)
    run = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=1))[0]
    # Timed in the same order each time, the chain would always come out below the whole.
    assert run.slicing_tax == {size: pytest.approx(1.0, abs=0.001) for size in (1, 2, 4)}


@pytest.mark.parametrize(("mhz", "told"), [((1980.0,), True), ((1980.0, 1700.0), True), ((1980.0, None), False)])
def test_the_clock_at_which_stages_were_timed_is_there_if_it_is_always_known(
    mhz: tuple[float | None, ...], *, told: bool
) -> None:
    clocks, asked = cycle(mhz), []

    def clock(began_ns: int, ended_ns: int) -> float | None:
        asked.append((began_ns, ended_ns))
        return next(clocks)

    lanes = (4, 8)
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=1, executors_per_stage=1, lanes=lanes)
    profile = profiled(limits, clock=clock)[0].profile
    assert all(began_ns < ended_ns for began_ns, ended_ns in asked)
    timed = len(lanes) * len(finer_sizes(MAX_BATCH))
    assert len(asked) == timed if mhz == (1980.0,) or not told else len(asked) > timed, "where it fell, heated ones too"
    assert (profile.sm_mhz is not None) == told
    if told:
        known = [each for each in mhz if each is not None]
        assert all(min(known) <= each <= max(known) for _, each in profile.sm_mhz.points)
        assert [size for size, _ in profile.sm_mhz.points] == finer_sizes(MAX_BATCH)


def test_by_the_clock_few_chains_of_the_last_lane_are_timed_and_the_profile_has_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed: list[tuple[int, int, int, int, int]] = []

    def repeated(launcher: DeviceLauncher, first: int, last: int, place: Place, lane: int, count: int) -> float:
        timed.append((first, last, place.rows, lane, count))
        return 4e6 * place.rows

    def measure(
        self: ClockPowers, sizes: Sequence[int], few: Callable[[int], int], sm_mhz: Curve | None
    ) -> Curve | None:
        assert sm_mhz is not None
        timed.clear()
        for size in sizes:
            self._repeated_ns(size, few(size))
        assert timed == [(0, STAGES - 1, size, 1, count) for size, count in ((1, 4), (2, 2), (4, 2))]
        return Curve(((1.0, 0.75), (4.0, 0.5)))

    monkeypatch.setattr(profiling_rig, "EFFORT", replace(profiling_rig.EFFORT, burst_s=0.015))
    monkeypatch.setattr("dvabatch.runtime.device_profiling.repeated_ns", repeated)
    monkeypatch.setattr(ClockPowers, "measure", measure)
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=1, executors_per_stage=1, lanes=(4, 8))
    profile = profiled(limits, clock=lambda *_: 1980.0)[0].profile
    assert profile.clock_power == Curve(((1.0, 0.75), (4.0, 0.5)))


def test_costs_are_those_of_the_turn_in_which_the_host_was_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    ones, steps = (9, 14, 10, 13, 12, 11, 13, 12), (25, 13, 15, 16, 18, 17, 14, 19)  # us of queueing, by turns
    turns, lone = iter(zip(ones, steps, strict=True)), iter(range(8))
    taken: list[float] = []

    def queued(
        self: Driven, draft: Profile, policy: Policy, batch: int, count: int, at_once: int = 1, lane: int = 0
    ) -> Queue:
        direct_ns = draft.span_ns(0, STAGES - 1, batch, 0)
        if batch > 1:  # each further row keeps the thread for 50 us, and the line for 30
            return Queue(direct_ns + 10 * taken[0] + 80_000 * (batch - 1), 0.0, taken[0] + 50_000 * (batch - 1))
        if not isinstance(policy, Normal):
            return Queue(direct_ns + 10 * taken[0] + 10 * taken[1], 2 * taken[0] + taken[1], taken[1])
        taken[:] = (1_000.0 * each for each in next(turns))
        return Queue(direct_ns + 10 * taken[0], 2 * taken[0], taken[0])

    def lone_ns(self: Driven, draft: Profile, policy: Policy, lasting_s: float) -> float:
        return draft.span_ns(0, STAGES - 1, 1, 0) + 10 * taken[0] + 7_000 + next(lone)

    monkeypatch.setattr(Driven, "lone_ns", lone_ns)
    monkeypatch.setattr(Driven, "queued", queued)
    costs = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=1))[0].profile.costs
    # In no other turn are both together as fast; of others one is faster still, and what came of it is no part of this turn.
    assert (costs.queueing_ns, costs.first_queueing_ns) == (10_000, 15_000)
    assert (costs.launch_busy_ns, costs.boundary_busy_ns) == (20_000, 15_000 / (STAGES - 1))
    assert costs.boundary_ns == 150_000 / (STAGES - 1)
    assert (costs.launch_busy_ns_per_row, costs.transfer_ns_per_row) == (50_000, 30_000)
    assert costs.launch_ns == 100_000 - 30_000
    assert costs.wake_ns == 7_002


def test_the_host_is_asked_again_after_each_turn_of_the_crowds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow spell may last as long as all turns of one instant."""
    did: list[str] = []

    def queued(
        self: Driven, draft: Profile, policy: Policy, batch: int, count: int, at_once: int = 1, lane: int = 0
    ) -> Queue:
        if at_once > 1:
            return Queue(1e6, 0.0, 0.0)
        if batch == 1 and isinstance(policy, Normal):
            did.append("host")
        queueing_ns = 7_000.0 if did.count("host") == 15 else 9_000.0
        return Queue(5e9, 2 * queueing_ns, queueing_ns)

    def crowded(*_: object) -> Crowded:
        did.append("crowd")
        return Crowded(np.asarray([9_000]), np.asarray([9_000]), np.asarray([1_000_000]))

    monkeypatch.setattr(Driven, "queued", queued)
    monkeypatch.setattr(Driven, "crowded", crowded)
    monkeypatch.setattr(Driven, "lone_ns", lambda *_: 5e9)
    told: list[Costs] = []

    def slowdowns(self: Crowds, costs: Costs) -> list[dict[int, Curve]]:
        told.append(costs)
        return [{1: Curve(((2, 1.5),))}]

    monkeypatch.setattr(Crowds, "slowdowns", slowdowns)
    costs = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2))[0].profile.costs
    assert [what for what, _ in groupby(did)] == ["host", "crowd"] * 3 + ["host"]
    assert did.count("host") == 16
    assert costs.queueing_ns == 7_000
    assert told == [costs]


def test_one_executor_has_the_device_to_itself() -> None:
    run, _, _ = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=1))
    assert {run.profile.share(0, batch, 0) for batch in range(1, MAX_BATCH + 1)} == {1.0}
    assert run.profile.crowding is None
