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


def test_a_small_launch_suffers_beside_a_large_one_which_notices_less() -> None:
    model = device(crowding_exponent=0.75)
    model.start(0, ((MS, model.kind(0, 1, 0)),), 0)
    model.start(1, ((4 * MS, model.kind(0, 8, 0)),), 0)
    # Device times are 0.25 and 4 ms, of which one weighs 8 times what the other does: for the small one, as 9 alike; for
    # the large one, as 1.125.
    small_ns = round(MS * (2.0 + 0.25 * 5))
    large_slow = 1.0 + 0.9 * 0.125
    found = ends(model, {0: 0, 1: 0})
    # The small one is done first: the large one's last part is faster.
    assert found[0] == pytest.approx(small_ns, abs=2)
    assert found[1] == pytest.approx(small_ns + 4 * MS - small_ns / large_slow, abs=2)


def test_a_profile_may_say_how_launches_weigh() -> None:
    model = device(crowding_exponent=0.0)
    model.start(0, ((MS, model.kind(0, 1, 0)),), 0)
    model.start(1, ((4 * MS, model.kind(0, 8, 0)),), 0)
    # Each is one more to the other one, whatever its size.
    assert ends(model, {0: 0, 1: 0}) == {0: 1_500_000, 1: pytest.approx(1_500_000 + 4 * MS - 1_500_000 / 1.9, abs=2)}


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
