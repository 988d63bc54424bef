"""What the simulator charges for, to the nanosecond."""

from __future__ import annotations

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.simulated import SimulatedDriver

MS = 1_000_000
STAGES = [{"latency_ms": {"1": 1.0, "4": 1.0}}] * 2


def responses(arrivals_ns: list[int], batch: int = 1, speed: float = 1.0, **costs: float) -> list[int]:
    """Response of each query under NORMAL, one batch at a time, in nanoseconds."""
    profile = Profile.from_table({"stages": STAGES, **costs})
    machine = Machine(Limits(2, 4), profile, Normal(FillOrWait(batch, 0, 1)))
    journal = SimulatedDriver(machine, profile=profile.at_speed(speed)).run(arrivals_ns)
    return [done - arrival for done, arrival in zip(journal.done_ns, journal.arrival_ns, strict=True)]


def test_a_launch_costs_the_host_and_every_row_its_transfer() -> None:
    assert responses([0, 0, 0], batch=4, launch_us=100, transfer_us_per_row=10) == [2 * MS + 130_000] * 3


def test_waking_is_charged_where_everything_was_idle_and_not_behind_another() -> None:
    first, second, third = responses([0, 0, 50 * MS], wake_us=500)
    assert (first, second, third) == (2 * MS + 500_000, 4 * MS + 500_000, 2 * MS + 500_000)


def test_another_speed_is_nothing_that_the_machine_knows() -> None:
    assert responses([0], speed=1.5, launch_us=100) == [3 * MS + 150_000]
