"""What launches that begin at random tell: a device measured by them is the device that was simulated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.loops import (
    Alike,
    Series,
    random_arrivals_ns,
    responses_ns,
    round_ns,
    slowdown_at_once,
    usual_ns,
)
from dvabatch.runtime.simulated import SimulatedDriver

LAUNCHES = 160


def test_a_thread_that_wakes_does_so_once_for_all_that_it_hears_of_then() -> None:
    alike = Alike(1_000_000, host_ns=50_000, wake_ns=100_000)
    never = Curve(((1.0, 1.0), (8.0, 1.0)))
    assert responses_ns(never.at, [0, 0, 400_000], alike, 3) == [1_150_000, 1_200_000, 1_150_000]


def through_driver_ns(
    profile: Profile, count: int, arrivals_ns: list[int]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    machine = Machine(Limits(1, 1, 8, 8), profile, Normal(FillOrWait(1, 0, count)))
    return np.asarray(SimulatedDriver(machine).run(arrivals_ns).done_ns) - np.asarray(arrivals_ns)


def a_profile(
    slowdowns: tuple[float, ...], alone_us: int, launch_us: int, transfer_us: int, wake_us: int, **more: int
) -> Profile:
    crowding = dict(zip(("2", "4", "8"), slowdowns, strict=True))
    stages = [{"latency_ms": {"1": alone_us / 1e3}, "share": {"1": 0.2}}]
    costs = {"launch_us": launch_us, "transfer_us_per_row": transfer_us, "wake_us": wake_us, "one_host": True}
    return Profile.from_table({"name": "t", "stages": stages, "crowding": {"1": crowding}, **costs, **more})


def found_again(
    slowdowns: tuple[float, ...], alone_us: int, launch_us: int, transfer_us: int, wake_us: int = 0
) -> list[float]:
    """The slowdowns of 2, 4 and 8 that a device of these shows through the simulated driver."""
    profile = a_profile(slowdowns, alone_us, launch_us, transfer_us, wake_us)
    alike = Alike(1000 * alone_us, 1000 * launch_us, 1000 * transfer_us, 1000 * wake_us)
    found: list[tuple[float, float]] = []
    for count in (2, 4, 8):
        cycle_ns = round_ns(np.sort(through_driver_ns(profile, count, [0] * 24 * count))[8 * count :], count)
        arrivals_ns = random_arrivals_ns(LAUNCHES, cycle_ns / count / 0.75, seed=count)
        measured_ns = usual_ns(through_driver_ns(profile, count, arrivals_ns))
        found.append((count, slowdown_at_once(measured_ns, [Series(arrivals_ns, alike)], count, found)))
    return [slowdown for _, slowdown in found]


@pytest.mark.parametrize("slowdowns", [(1.0, 1.0, 1.0), (1.4, 1.6, 2.1), (1.9, 3.8, 7.6), (1.1, 3.9, 4.0)])
@pytest.mark.parametrize(("launch_us", "transfer_us", "wake_us"), [(0, 0, 0), (150, 0, 30), (100, 100, 0)])
def test_a_simulated_device_is_found_again(
    slowdowns: tuple[float, float, float], launch_us: int, transfer_us: int, wake_us: int
) -> None:
    assert found_again(slowdowns, 2000, launch_us, transfer_us, wake_us) == pytest.approx(slowdowns, rel=0.01)


@given(
    st.lists(st.floats(1.0, 4.0), min_size=3, max_size=3).map(sorted),
    st.integers(1, 200),
    st.integers(0, 100),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(0, 200),
)
@example([1.0, 1.0, 1.125], 1, 0, 8, 0)
@settings(max_examples=25, deadline=None)
def test_launches_are_simulated_as_the_driver_of_a_profile_simulates_them(
    slowdowns: list[float], launch_us: int, transfer_us: int, count: int, busy_us: int
) -> None:
    busy_us = min(busy_us, launch_us)
    profile = a_profile(tuple(slowdowns), 1000, launch_us, transfer_us, 20, launch_busy_us=busy_us)
    arrivals_ns = random_arrivals_ns(50, 500_000, seed=1)
    curve = Curve(((1.0, 1.0), (2.0, slowdowns[0]), (4.0, slowdowns[1]), (8.0, slowdowns[2])))
    alike = Alike(1_000_000, 1000 * busy_us, 1000 * transfer_us, 20_000, 1000 * (launch_us - busy_us))
    spent_ns = responses_ns(curve.at, arrivals_ns, alike, count)
    assert spent_ns == pytest.approx(through_driver_ns(profile, count, arrivals_ns).tolist(), abs=20)


@pytest.mark.parametrize(
    ("alone_us", "launch_us", "transfer_us"), [(1000, 150, 0), (500, 150, 0), (300, 100, 0), (2000, 50, 400)]
)
def test_waiting_for_the_host_or_the_line_does_not_pass_for_a_slow_device(
    alone_us: int, launch_us: int, transfer_us: int
) -> None:
    assert found_again((1.0, 1.0, 1.0), alone_us, launch_us, transfer_us) == pytest.approx([1.0] * 3, rel=0.01)


def test_launches_that_end_together_come_round_no_sooner() -> None:
    assert round_ns([10, 10, 20, 20, 30, 30], 2) == 10
    assert round_ns([30, 10, 20], 1) == 10


def test_random_arrivals_have_the_mean_and_the_spread_of_independent_ones() -> None:
    arrivals_ns = random_arrivals_ns(200, 1e6, seed=3)
    gaps_ns = np.diff(arrivals_ns)
    assert arrivals_ns[0] == 0
    assert gaps_ns.mean() == pytest.approx(1e6, rel=1e-4)
    assert gaps_ns.std() == pytest.approx(1e6, rel=0.05)
    assert np.median(gaps_ns) == pytest.approx(1e6 * np.log(2), rel=0.02)
    assert arrivals_ns != random_arrivals_ns(200, 1e6, seed=4)


def test_what_the_host_did_meanwhile_is_left_out() -> None:
    assert usual_ns([1000] * 95 + [90_000] * 5) == 1000
    assert usual_ns([1000, 3000]) == 2000


@given(st.integers(1, 20), st.integers(0, 5), st.sampled_from([2, 4, 8]))
@settings(max_examples=25, deadline=None)
def test_the_slowdown_is_in_bounds_and_rises_with_what_was_measured(slow: int, host: int, count: int) -> None:
    arrivals_ns = random_arrivals_ns(40, 20_000 / count, seed=count)

    def found(measured_ns: int, fewer: list[tuple[float, float]] | None = None) -> float:
        series = [Series(arrivals_ns, Alike(10_000, 1000 * host))]
        return slowdown_at_once(measured_ns, series, count, fewer or [])

    here = found(10_000 * slow)
    assert 1.0 <= here <= 2 * count
    assert here <= found(10_000 * (slow + 1)) + 1e-6
    assert found(10_000 * slow, [(1.5, 1.7)]) >= 1.7
