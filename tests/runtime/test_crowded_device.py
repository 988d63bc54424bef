"""The crowded device: small launches beside large ones, and what lies before the device."""

from __future__ import annotations

import pytest

from dvabatch.batching.profile import Profile
from dvabatch.runtime.crowded_device import CrowdedDevice
from dvabatch.runtime.device_model import HOST, TRANSFER, DeviceModel

MS = 1_000_000
CROWDING = {"1": {"2": 1.5, "4": 2.0}, "8": {"2": 1.9, "4": 3.8}}


def device(**costs: object) -> CrowdedDevice:
    stages = [{"latency_ms": {"1": 1.0, "8": 4.0}, "share": {"1": 0.25, "8": 1.0}}]
    return CrowdedDevice(Profile.from_table({"name": "crowded", "stages": stages, "crowding": CROWDING, **costs}))


def ends(model: DeviceModel, begun: dict[int, int]) -> dict[int, int]:
    """When each launch ends."""
    found: dict[int, int] = {}
    while len(found) < len(begun):
        now_ns = model.next_ns
        for launch_id in model.advance(now_ns):
            found[launch_id] = now_ns
    return found


def test_alone_a_launch_takes_its_time() -> None:
    model = device()
    model.start(0, ((MS, model.kind(0, 1, 0)),), 0)
    assert ends(model, {0: 0}) == {0: MS}
    assert model.busy_ns == MS


def test_alike_launches_slow_down_as_measured() -> None:
    model = device()
    for launch_id in range(2):
        model.start(launch_id, ((MS, model.kind(0, 1, 0)),), 0)
    assert ends(model, {0: 0, 1: 0}) == {0: 1_500_000, 1: 1_500_000}


# Device times are 0.25 ms of 1 for a small launch and 4 ms of 4 for a large one: to the small one, the large one is as 16
# others like it.
SMALL_NS, LARGE_NS = 1 * MS, 4 * MS


def between(own_ns: float, other_ns: float) -> float:
    """What one waits for another, from its begin to its end."""
    return own_ns**0.15 * other_ns**0.85


def test_a_small_launch_suffers_beside_a_large_one_which_notices_less() -> None:
    model = device()
    model.start(0, ((MS, model.kind(0, 1, 0)),), 0)
    model.start(1, ((8 * MS, model.kind(0, 8, 0)),), 0)
    # Among 17 alike a small one waits 16 times for 4.25 / 16 of the others' time; among 17/16 a large one for 0.9 of theirs.
    small_wait_ns, large_wait_ns = 4.25 / 16 * SMALL_NS, 0.9 * LARGE_NS
    small_slow = 1 + between(small_wait_ns, large_wait_ns) / SMALL_NS
    large_slow = 1 + between(large_wait_ns, small_wait_ns) / LARGE_NS
    assert small_slow > 3.0
    assert large_slow < 1.2
    small_ns = MS * small_slow
    found = ends(model, {0: 0, 1: 0})
    # The small one is done first: the large one's last part is faster.
    assert found[0] == pytest.approx(small_ns, abs=2)
    assert found[1] == pytest.approx(small_ns + 8 * MS - small_ns / large_slow, abs=2)


def test_each_of_a_crowd_waits_for_each_other_one() -> None:
    model = device()
    work_ns = {0: MS, 1: 2 * MS, 2: 8 * MS}
    sizes = {0: 1, 1: 1, 2: 8}
    for launch_id, took_ns in work_ns.items():
        model.start(launch_id, ((took_ns, model.kind(0, sizes[launch_id], 0)),), 0)
    # To a small one they are as 18 like it, of whom it waits for 4.5 / 17 each; to the large one as 1.125.
    small_wait_ns, large_wait_ns = 4.5 / 17 * SMALL_NS, 0.9 * LARGE_NS
    waits_ns = small_wait_ns + between(small_wait_ns, large_wait_ns)
    assert model.next_ns == pytest.approx(MS + waits_ns, abs=2)


def test_hosts_and_lines_are_before_the_device_and_one_launch_s_after_another_s() -> None:
    model = device(launch_us=100, transfer_us_per_row=50, one_host=True)
    phases = ((100_000, HOST), (50_000, TRANSFER), (MS, model.kind(0, 1, 0)))
    model.start(0, phases, 0)
    model.start(1, phases, 0)
    assert model.next_ns == 100_000
    model.advance(100_000)
    assert model.next_ns == 150_000, "the line has the first while the host has the second"
    found = ends(model, {0: 0, 1: 0})
    assert found[0] < found[1]
    assert not model.finds_idle(1, found[1])
    assert model.finds_idle(1, found[1] + 1)
