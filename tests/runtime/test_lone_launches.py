"""A machine's speed from the launches that met no other: exactly what the simulator was told to take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import LaunchFailed, LaunchFinished
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.place import Place
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, LoadDva, Normal, OperatorDva
from dvabatch.batching.profile import Profile
from dvabatch.runtime.lone_launches import FEWEST, LoneLaunches
from dvabatch.runtime.simulated import SimulatedDriver

MS = 1_000_000
TABLE: dict[str, Any] = {
    "stages": [{"latency_ms": {"1": 1.0, "8": 3.0}, "share": {"1": 0.5, "8": 0.5}}] * 2,
    "launch_us": 20, "boundary_us": 50, "copy_us_per_row": 7, "transfer_us_per_row": 3, "wake_us": 400,
}  # fmt: skip
ENTRY = FillOrWait(8, 0, 4)
CATCHING = CatchingUp(8, 8, 1, None)
POLICIES: list[Policy] = [
    Normal(FillOrWait(8, MS, 1)),
    Normal(ENTRY),
    LoadDva(CATCHING),
    OperatorDva(ENTRY, Favoring((2, 8))),
    HybridDva(CATCHING, Favoring((2, 8))),
]


def lone(policy: Policy, costs: Profile, gap_ms: float = 2.5, count: int = 400) -> LoneLaunches:
    """What was heard of a simulated run on `costs`, of which the machine and the listener know only the table."""
    profile = Profile.from_table(TABLE)
    machine = Machine(Limits(2, 8, buffer_sets=4, executors_per_stage=4), profile, policy)
    heard = LoneLaunches(profile)
    gaps_ns = np.random.default_rng(5).exponential(gap_ms * MS, count)
    SimulatedDriver(machine, heard, costs).run(np.cumsum(gaps_ns).astype(np.int64).tolist())
    return heard


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.digest[:24])
@pytest.mark.parametrize("speed", [0.8, 1.0, 1.3])
def test_a_machine_of_another_speed_is_told_exactly(policy: Policy, speed: float) -> None:
    assert lone(policy, Profile.from_table(TABLE).at_speed(speed)).speed == pytest.approx((speed, speed), rel=1e-6)


@pytest.mark.parametrize("policy", POLICIES[1:], ids=lambda policy: policy.digest[:24])
def test_what_launches_do_to_each_other_is_left_out(policy: Policy) -> None:
    """Two at once are twice as slow as the profile thinks; the machine's own speed is what it thinks."""
    crowded = Profile.from_table({**TABLE, "slowdown": {"0.5": 1.0, "1.0": 2.0, "2.0": 4.0}})
    assert lone(policy, crowded).speed == pytest.approx((1.0, 1.0), rel=1e-6)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.digest[:24])
def test_where_launches_wait_for_a_core_those_alone_are_still_told_exactly(policy: Policy) -> None:
    cores = Profile.from_table({**TABLE, "cores": 2}).at_speed(1.2)
    assert lone(policy, cores).speed == pytest.approx((1.2, 1.2), rel=1e-6)


def test_a_few_tell_nothing() -> None:
    profile = Profile.from_table(TABLE)
    few = lone(POLICIES[0], profile, gap_ms=50, count=FEWEST - 1)
    assert (few.speed, few.pace()) == (None, None)
    assert lone(POLICIES[0], profile, gap_ms=50, count=FEWEST + 5).speed == pytest.approx((1.0, 1.0))


def test_the_halves_are_told_apart() -> None:
    heard = LoneLaunches(Profile.from_table({"stages": [{"latency_ms": {"1": 1.0}}]}))
    for index in range(20):
        launch = Launch(index, index, 0, 0, 0, Place(0, 0, 1), (index,), (0,))
        heard.record(10 * index * MS, [], [launch])
        heard.record(10 * index * MS + (MS if index < 10 else 3 * MS), [LaunchFinished(index)], [])
    assert heard.speed == (1.0, 3.0)
    pace = heard.pace()
    assert pace is not None
    # Eight launches, then twelve, of which two were still fast: the remainder goes with the group before it.
    assert [pace(index * MS) for index in (-1, 0, 75, 80, 1000)] == [1.0, 1.0, 1.0, (2 + 30) / 12, (2 + 30) / 12]


def test_a_launch_that_failed_was_not_timed() -> None:
    heard = LoneLaunches(Profile.from_table({"stages": [{"latency_ms": {"1": 1.0}}]}))
    for index in range(2 * FEWEST):
        launch = Launch(index, index, 0, 0, 0, Place(0, 0, 1), (index,), (0,))
        heard.record(10 * index * MS, [], [launch])
        ended = LaunchFailed(index, "lost") if index % 2 else LaunchFinished(index)
        heard.record(10 * index * MS + (7 * MS if index % 2 else MS), [ended], [])
    assert heard.speed == (1.0, 1.0)
