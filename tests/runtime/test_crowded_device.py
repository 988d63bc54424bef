"""The crowded device: small launches beside large ones, and what lies before the device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    return own_ns**0.15 * other_ns**0.85 if own_ns < other_ns else own_ns**0.25 * other_ns**0.75


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


def slowdown(model: CrowdedDevice, kind: int, beside: list[int]) -> float:
    """Of a launch of one millisecond among others that outlast it."""
    model.start(0, ((MS, kind),), 0)
    for launch_id, other in enumerate(beside, 1):
        model.start(launch_id, ((10_000 * MS, other),), 0)
    return model.next_ns / MS


def test_a_size_that_its_like_do_not_slow_down_waits_for_a_large_one_all_the_same() -> None:
    stages = [{"latency_ms": {"1": 1.0, "8": 4.0}, "share": {"1": 0.25, "8": 1.0}}]
    found = []
    for least in (1.0, 1.001, 1.02):
        crowding = {"1": {"2": least, "4": least}, "8": CROWDING["8"]}
        profile = Profile.from_table({"name": "crowded", "stages": stages, "crowding": crowding})
        small, large = CrowdedDevice(profile).kind(0, 1, 0), CrowdedDevice(profile).kind(0, 8, 0)
        found.append(slowdown(CrowdedDevice(profile), small, [large]))
        assert slowdown(CrowdedDevice(profile), small, [small]) == pytest.approx(least, abs=1e-6)
    hardly_ns = 0.01 * SMALL_NS  # as if it waited for a hundredth of its like
    assert 1.5 < found[0] == pytest.approx(1 + between(hardly_ns, 0.9 * LARGE_NS) / SMALL_NS, abs=1e-6)
    assert found[1] == pytest.approx(found[0], abs=1e-6)
    assert found[0] == pytest.approx(found[2], rel=0.01)


def test_every_lane_has_its_own_curves_and_a_launch_is_that_of_the_size_that_runs() -> None:
    """Engines of 1 and 8 rows for lengths of up to 16 and 64, in two stages; the whole model, by itself, takes longer."""

    def lane(factor: float, two: float) -> dict[str, object]:
        latencies = [{"1": 1.0 * factor, "8": 2.0 * factor}, {"1": 0.5 * factor, "8": 3.0 * factor}]
        return {
            "stages": [{"latency_ms": latency, "share": {"1": 0.5, "8": 1.0}} for latency in latencies],
            "whole": {"1": 2.0 * factor, "8": 6.0 * factor},
            "crowding": {"1": {"2": two}, "8": {"2": 2 * two - 1}},
        }

    lanes = {"16": lane(1.0, 1.25), "64": lane(4.0, 1.5)}
    profile = Profile.from_table({"name": "crowded", "lanes": lanes, "batch_sizes": [1, 8]})

    def kind(batch: int, lane: int) -> int:
        return CrowdedDevice(profile).kind(0, batch, lane)

    def beside(batch: int, lane: int, other: int, other_lane: int) -> float:
        return slowdown(CrowdedDevice(profile), kind(batch, lane), [kind(other, other_lane)])

    assert [beside(1, lane, 1, lane) for lane in (0, 1)] == [pytest.approx(1.25), pytest.approx(1.5)]
    assert beside(5, 1, 8, 1) == beside(8, 1, 8, 1) == pytest.approx(2.0), "five rows run as eight"
    # A short one of one row takes 1.5 ms of two stages, 0.75 of the device, and waits 0.25 of that for its like; a long one of
    # eight rows 20 ms, all of the device, and waits 1.0. One of the latter is as 26.7 of the former, and their curves go on.
    assert beside(1, 0, 8, 1) == pytest.approx(1 + between(0.25 * 1.5 * MS, 1.0 * 20 * MS) / (1.5 * MS))
    assert beside(8, 1, 1, 0) == pytest.approx(1 + between(1.0 * 20 * MS, 0.25 * 1.5 * MS) / (20 * MS))


# ResNet-152 at FP16 on an H200: milliseconds, shares, and slowdowns of two, four and eight.
MEASURED = {
    1: (1.18, 0.20, (1.42, 1.50, 1.74)),
    4: (1.23, 0.36, (1.42, 1.79, 3.13)),
    16: (1.60, 0.99, (2.01, 4.07, 7.99)),
    64: (4.67, 0.99, (1.90, 3.95, 7.44)),
}


@given(st.lists(st.sampled_from(sorted(MEASURED)), min_size=1, max_size=6), st.sampled_from(sorted(MEASURED)))
def test_more_company_helps_nobody_where_curves_are_as_measured(sizes: list[int], more: int) -> None:
    stage = {
        "latency_ms": {str(size): latency for size, (latency, _, _) in MEASURED.items()},
        "share": {str(size): share for size, (_, share, _) in MEASURED.items()},
    }
    crowding = {
        str(size): {str(n): slow for n, slow in zip((2, 4, 8), curve, strict=True)}
        for size, (_, _, curve) in MEASURED.items()
    }
    profile = Profile.from_table({"name": "measured", "stages": [stage], "crowding": crowding})
    kinds = {size: CrowdedDevice(profile).kind(0, size, 0) for size in MEASURED}
    for index, size in enumerate(sizes):
        others = [kinds[other] for other in sizes[:index] + sizes[index + 1 :]]
        before = slowdown(CrowdedDevice(profile), kinds[size], others)
        assert slowdown(CrowdedDevice(profile), kinds[size], [*others, kinds[more]]) >= before - 1e-5


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
