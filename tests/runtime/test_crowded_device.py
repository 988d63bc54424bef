"""The crowded device: small launches beside large ones, and what lies before the device."""

from __future__ import annotations

from math import sqrt

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


def test_a_small_launch_suffers_beside_a_large_one_which_notices_less() -> None:
    model = device()
    model.start(0, ((MS, model.kind(0, 1, 0)),), 0)
    model.start(1, ((8 * MS, model.kind(0, 8, 0)),), 0)
    # Device times are 0.25 and 4 ms, of which one weighs 8 times what the other does: for the small one, as 9 alike; for
    # the large one, as 1.125. The small one waits for 2.25 / 8 of others like it, the large one for 0.9.
    part = sqrt(2.25 / 8 * 0.9)
    small_ns, large_slow = round(MS * (1 + 8 * part)), 1 + part / 8
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
    # To a small one they count as 10 like it, of which it waits for 2.5 / 9; to the large one as 1.25, of which for 0.9.
    small, large = 2.5 / 9, 0.9
    assert model.next_ns == pytest.approx(MS * (1 + small + 8 * sqrt(small * large)), abs=2)


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
