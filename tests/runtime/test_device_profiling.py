"""The profile of a device, measured on one that is none: what is there, and what it is made of, not how long it took."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.place import Place
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_profiling import DeviceEffort, DeviceProfiler, rising, warmed
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.driven import Crowded, Driven, Queue
from dvabatch.runtime.loops import Alike
from dvabatch.runtime.profiling import ProfileRun
from dvabatch.runtime.shapes import lay_out_modules
from tests.runtime.fake_device import FakeDevice, FakeExecutor, FakeModule
from tests.runtime.rig import quick_table, token_of

EFFORT = DeviceEffort(budget_s=0.0005, rounds=1, queries=6, cycles=6, launches=20, light_s=0.0)
STAGES, MAX_BATCH = 2, 4


def profiled(limits: Limits, device: FakeDevice | None = None) -> tuple[ProfileRun, DeviceLauncher, list[str]]:
    lanes = [lane for lane in limits.lanes if lane is not None]
    _, tables = quick_table(STAGES, MAX_BATCH, lanes)
    _, wholes = quick_table(1, MAX_BATCH, lanes)
    device = device or FakeDevice()
    examples = [{name: rows[None] for name, rows in token_of(0, lane).items()} for lane in limits.lanes]
    modules = [FakeModule(table) for table in tables]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), limits.buffer_sets, MAX_BATCH)
    launcher = DeviceLauncher(device, modules, table)
    whole = FakeModule(wholes[0])
    alone = DeviceTable(device, lay_out_modules([whole], examples, ["answer"]), 1, MAX_BATCH)
    told: list[str] = []
    profiler = DeviceProfiler(
        "fake", "fake 1", (launcher, table), DeviceLauncher(device, [whole], alone), limits, examples,
        effort=EFFORT, progress=told.append,
    )  # fmt: skip
    return profiler.measure(), launcher, told


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


def test_costs_are_those_of_the_turn_in_which_the_host_was_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    ones, steps = (9, 14, 10, 13, 12, 11), (25, 13, 15, 16, 18, 17)  # us of queueing, by turns
    turns, lone = iter(zip(ones, steps, strict=True)), iter(range(6))
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
    monkeypatch.setattr("dvabatch.runtime.device_profiling.slowdown_at_once", slowdown)
    profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2))
    assert believed
    assert set(believed) == {6e8}  # the longest, and yet the host was fastest


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
    monkeypatch.setattr("dvabatch.runtime.device_profiling.slowdown_at_once", slowdown)
    profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2))
    assert {of.host_ns for of in alike} == {host_ns}


def test_one_executor_has_the_device_to_itself() -> None:
    run, _, _ = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=1))
    assert {run.profile.share(0, batch, 0) for batch in range(1, MAX_BATCH + 1)} == {1.0}
    assert run.profile.crowding is None


def test_warming_up_captures_every_size_of_every_set_once() -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    _, launcher, _ = profiled(limits)
    before = len(launcher.graphs)
    assert len(list(warmed(launcher, limits))) == 3 + 1
    assert launcher.more_tracks == 1
    # In place: the whole span and each stage; on a track's own rows: each stage.
    in_place, elsewhere = limits.buffer_sets * (1 + STAGES), (limits.buffer_sets + launcher.more_tracks) * STAGES
    assert len(launcher.graphs) == MAX_BATCH * (in_place + elsewhere)
    assert before <= len(launcher.graphs)
    launcher.graphs.forget_counts()
    list(warmed(launcher, limits))
    assert launcher.graphs.misses == 0


def test_without_graphs_all_that_runs_is_made_beforehand() -> None:
    made: list[int] = []

    class Counting(FakeModule):
        def executor(self, arena: int) -> FakeExecutor:
            made.append(arena)
            return super().executor(arena)

    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    _, tables = quick_table(STAGES, MAX_BATCH, [])
    device, modules = FakeDevice(), [Counting(table) for table in tables]
    examples = [{name: rows[None] for name, rows in token_of(0, None).items()}]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), limits.buffer_sets, MAX_BATCH)
    launcher = DeviceLauncher(device, modules, table, graphs=0)
    assert next(warmed(launcher, limits)) == "making contexts, set 1 of 3"
    list(warmed(launcher, limits))
    tracks = limits.buffer_sets + launcher.more_tracks
    assert (len(made), len(set(made))) == (tracks * STAGES, tracks)  # the contexts of a track share its memory
    before = len(made)
    for index in range(tracks):
        launcher.repeat(index, 0, STAGES - 1, Place(index % 3, 0, MAX_BATCH), 0)
    assert len(made) == before
    assert len(launcher.graphs) == 0


def test_no_more_graphs_are_kept_than_were_there_when_memory_ran_low() -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    device = FakeDevice()
    _, launcher, _ = profiled(limits, device)
    kept = len(launcher.graphs)
    device.fill((1 << 30) // 8)
    told = list(warmed(launcher, limits))
    assert told[-1] == f"{kept} graphs fill the room there is: others take the place of these in the run"
    assert (len(launcher.graphs), launcher.graphs.room) == (kept, kept)


def test_sums_of_shares_that_lie_close_make_one_point_and_the_curve_never_falls() -> None:
    assert rising([(1.6, 1.1), (0.42, 1.4), (0.38, 1.2)]).points == (
        (0.4, pytest.approx(1.3)),
        (1.6, pytest.approx(1.3)),
    )


def test_where_there_is_no_room_for_all_graphs_the_rest_is_captured_in_the_run() -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    _, launcher, _ = profiled(limits)
    launcher.graphs.room = len(launcher.graphs) + 7
    told = list(warmed(launcher, limits))
    assert (
        told[-1] == f"{len(launcher.graphs)} graphs fill the room there is: others take the place of these in the run"
    )
    assert launcher.graphs.room == len(launcher.graphs)
    assert launcher.spans.capturing
    launcher.graphs.room = 1000
    list(warmed(launcher, limits))
    assert not launcher.spans.capturing
