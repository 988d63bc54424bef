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
from dvabatch.runtime.closed_loop import slowdown_at_once
from dvabatch.runtime.simulated import SimulatedDriver

LAUNCH_NS, ALONE_NS, CYCLES = 150_000, 2_000_000, 24


@pytest.mark.parametrize("slowdowns", [(1.0, 1.0, 1.0), (1.4, 1.6, 2.1), (1.9, 3.8, 7.6), (1.1, 3.9, 4.0)])
def test_a_simulated_device_is_found_again(slowdowns: tuple[float, float, float]) -> None:
    crowding = dict(zip(("2", "4", "8"), slowdowns, strict=True))
    stages = [{"latency_ms": {"1": ALONE_NS / 1e6}, "share": {"1": 0.2}}]
    profile = Profile.from_table(
        {"name": "t", "stages": stages, "launch_us": LAUNCH_NS / 1e3, "one_host": True, "crowding": {"1": crowding}}
    )
    found: list[tuple[float, float]] = []
    for count in (2, 4, 8):
        machine = Machine(Limits(1, 1, 8, 8), profile, Normal(FillOrWait(1, 0, count)))
        ends_ns = np.sort(SimulatedDriver(machine).run(np.zeros(CYCLES * count, np.int64)).done_ns)[
            CYCLES * count // 3 :
        ]
        cycle_ns = float(np.median(ends_ns[count:] - ends_ns[:-count]))
        found.append((count, slowdown_at_once(cycle_ns, LAUNCH_NS, ALONE_NS, count, found)))
    assert [slowdown for _, slowdown in found] == pytest.approx(slowdowns, rel=0.06)


@given(st.floats(1.0, 20.0), st.floats(0.0, 5.0), st.sampled_from([2, 4, 8]))
@settings(max_examples=50)
def test_the_slowdown_is_in_bounds_and_rises_with_the_cycle(slow: float, ahead: float, count: int) -> None:
    found = slowdown_at_once(ahead + slow, ahead, 1.0, count)
    assert 1.0 <= found <= 2 * count
    assert found <= slowdown_at_once(ahead + slow + 1.0, ahead, 1.0, count) + 1e-6
    assert found >= min(slow, 2 * count) - 1e-6, "on the device it is never less than what the loop as a whole loses"
    known = [(2, found)]
    assert slowdown_at_once(ahead + slow, ahead, 1.0, 16, known) >= found - 1e-6
