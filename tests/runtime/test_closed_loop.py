"""What a queue that never runs dry tells: a device measured through it is the device that was simulated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.closed_loop import round_ns, slowdown_at_once
from dvabatch.runtime.simulated import SimulatedDriver

CYCLES = 24


def found_again(slowdowns: tuple[float, ...], alone_us: int, launch_us: int, transfer_us: int) -> list[float]:
    """The slowdowns of 2, 4 and 8 that a device of these shows through the simulated driver."""
    crowding = dict(zip(("2", "4", "8"), slowdowns, strict=True))
    stages = [{"latency_ms": {"1": alone_us / 1e3}, "share": {"1": 0.2}}]
    costs = {"launch_us": launch_us, "transfer_us_per_row": transfer_us, "one_host": True}
    profile = Profile.from_table({"name": "t", "stages": stages, "crowding": {"1": crowding}, **costs})
    found: list[tuple[float, float]] = []
    for count in (2, 4, 8):
        machine = Machine(Limits(1, 1, 8, 8), profile, Normal(FillOrWait(1, 0, count)))
        done_ns = SimulatedDriver(machine).run(np.zeros(CYCLES * count, np.int64)).done_ns
        cycle_ns = round_ns(np.sort(done_ns)[CYCLES * count // 3 :], count)
        slowdown = slowdown_at_once(
            cycle_ns, 1000 * alone_us, count, found, host_ns=1000 * launch_us, transfer_ns=1000 * transfer_us
        )
        found.append((count, slowdown))
    return [slowdown for _, slowdown in found]


@pytest.mark.parametrize("slowdowns", [(1.0, 1.0, 1.0), (1.4, 1.6, 2.1), (1.9, 3.8, 7.6), (1.1, 3.9, 4.0)])
@pytest.mark.parametrize(("launch_us", "transfer_us"), [(0, 0), (150, 0), (100, 100)])
def test_a_simulated_device_is_found_again(
    slowdowns: tuple[float, float, float], launch_us: int, transfer_us: int
) -> None:
    assert found_again(slowdowns, 2000, launch_us, transfer_us) == pytest.approx(slowdowns, rel=0.03)


@pytest.mark.parametrize(
    ("alone_us", "launch_us", "transfer_us"), [(1000, 150, 0), (500, 150, 0), (300, 100, 0), (2000, 50, 400)]
)
def test_waiting_for_the_host_or_the_line_does_not_pass_for_a_slow_device(
    alone_us: int, launch_us: int, transfer_us: int
) -> None:
    assert found_again((1.0, 1.0, 1.0), alone_us, launch_us, transfer_us) == pytest.approx([1.0] * 3, rel=0.02)


def test_where_the_host_takes_the_time_more_at_once_are_as_fewer() -> None:
    two, four, eight = found_again((1.2, 1.4, 1.8), 500, 150, 0)
    assert two == pytest.approx(1.2, rel=0.03)
    assert eight == four, "eight launches of 150 us each are longer than the device takes"


def test_launches_that_end_together_come_round_no_sooner() -> None:
    assert round_ns([10, 10, 20, 20, 30, 30], 2) == 10
    assert round_ns([30, 10, 20], 1) == 10


@given(st.integers(1, 20), st.integers(0, 5), st.sampled_from([2, 4, 8]))
@settings(max_examples=25, deadline=None)
def test_the_slowdown_is_in_bounds_and_rises_with_the_cycle(slow: int, host: int, count: int) -> None:
    def found(cycle_ns: int) -> float:
        return slowdown_at_once(cycle_ns, 10_000, count, host_ns=1000 * host)

    here = found(10_000 * slow)
    assert 1.0 <= here <= 2 * count
    assert here <= found(10_000 * (slow + 1)) + 1e-6
    assert slowdown_at_once(10_000 * slow, 10_000, 16, [(2, here)]) >= here
