"""The profile of a device, measured on one that is none: what is there, and what it is made of, not how long it took."""

from __future__ import annotations

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.profile import Profile
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_profiling import DeviceEffort, DeviceProfiler, rising, warmed
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.driven import Driven, Lone
from dvabatch.runtime.profiling import ProfileRun
from dvabatch.runtime.shapes import lay_out_modules
from tests.runtime.fake_device import FakeDevice, FakeModule
from tests.runtime.rig import quick_table, token_of

EFFORT = DeviceEffort(budget_s=0.0005, rounds=1, queries=6, cycles=6, launches=20, light_s=0.0)
STAGES, MAX_BATCH = 2, 4


def profiled(limits: Limits) -> tuple[ProfileRun, DeviceLauncher, list[str]]:
    lanes = [lane for lane in limits.lanes if lane is not None]
    _, tables = quick_table(STAGES, MAX_BATCH, lanes)
    _, wholes = quick_table(1, MAX_BATCH, lanes)
    device = FakeDevice()
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
    assert profile.costs.bounced_ns(1, MAX_BATCH) > 0 == profile.costs.bounced_ns(0, MAX_BATCH)
    assert 1.0 <= profile.slowdown(0.5) <= profile.slowdown(1.0) <= profile.slowdown(3.0)
    assert profile.crowding is not None
    assert len(profile.crowding) == len(lanes)
    for of_lane in profile.crowding:
        numbers = {size: [x for x, _ in curve.points] for size, curve in of_lane.by_size.items()}
        assert numbers == {size: [2, 4] for size in (1, 2, 4)}
    assert "fake 1" in profile.source
    assert any("at once" in line for line in told)


def test_the_host_is_measured_at_several_turns_and_the_fastest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []

    def lone(self: Driven, draft: Profile, policy: Policy, lasting_s: float) -> Lone:
        measured.append(1_000.0 * (10 + (7 * len(measured)) % 12))
        return Lone(10 * measured[-1], 2 * measured[-1], measured[-1])

    monkeypatch.setattr(Driven, "lone", lone)
    costs = profiled(Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=1))[0].profile.costs
    ones, steps = measured[::2], measured[1::2]  # by turns
    assert len(ones) == len(steps) > 2
    assert (costs.queueing_ns, costs.stage_queueing_ns) == (min(ones), min(steps))
    assert costs.launch_busy_ns == 2 * min(ones)
    assert costs.boundary_ns == max(0, 10 * (min(steps) - min(ones)))


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
    assert told[-1] == f"{len(launcher.graphs)} graphs fill the room there is: others are captured in the run"
    assert launcher.spans.capturing
    launcher.graphs.room = 1000
    list(warmed(launcher, limits))
    assert not launcher.spans.capturing
