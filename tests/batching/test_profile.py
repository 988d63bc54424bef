"""The profile: what a table says, what lies between its points, and which tables are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.batching.costs import Costs
from dvabatch.batching.curve import Curve
from dvabatch.batching.errors import ProfileError
from dvabatch.batching.profile import Profile

MS = 1_000_000


def table(**more: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "stages": [{"latency_ms": {"1": 1.0, "4": 4.0, "8": 6.0}}, {"latency_ms": {"1": 2.0, "8": 2.0}}],
        **more,
    }


@pytest.mark.parametrize(("batch", "ms"), [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 4.5), (6, 5.0), (8, 6.0)])
def test_times_are_linear_between_the_points(batch: int, ms: float) -> None:
    assert Profile.from_table(table()).stage_ns(0, batch, 0) == round(ms * MS)


@pytest.mark.parametrize(("batch", "runs", "ms"), [(1, 2, 2.0), (2, 2, 2.0), (3, 6, 5.0), (6, 6, 5.0)])
def test_a_size_that_does_not_exist_costs_the_next_one_that_does(batch: int, runs: int, ms: float) -> None:
    profile = Profile.from_table(table(batch_sizes=[2, 6]))
    assert (profile.padded(batch), profile.stage_ns(0, batch, 0)) == (runs, round(ms * MS))
    assert profile.max_batch == 6


def test_without_batch_sizes_every_size_exists() -> None:
    profile = Profile.from_table(table())
    assert [profile.padded(b) for b in range(1, 9)] == list(range(1, 9))
    assert profile.max_batch == 8


@pytest.mark.parametrize("batch", [9, 100])
def test_sizes_past_the_table_are_refused(batch: int) -> None:
    profile = Profile.from_table(table())
    with pytest.raises(LookupError):
        profile.stage_ns(0, batch, 0)


def test_the_shortest_stage_table_says_how_far_the_profile_goes() -> None:
    stages = [{"latency_ms": {"1": 1, "8": 2}}, {"latency_ms": {"1": 1, "4": 2}}]
    assert Profile.from_table({"stages": stages}).max_batch == 4


def test_spans_and_the_whole() -> None:
    profile = Profile.from_table(table())
    assert profile.span_ns(0, 1, 4, 0) == 6 * MS
    assert profile.span_ns(1, 1, 4, 0) == 2 * MS
    assert profile.whole_ns(4, 0) == 6 * MS  # the sum, where nothing else was measured
    assert Profile.from_table(table(whole={"1": 2.5, "8": 6.0})).whole_ns(8, 0) == 6 * MS


def test_what_a_table_leaves_out() -> None:
    profile = Profile.from_table(table())
    assert (profile.costs.launch_ns, profile.costs.boundary_ns, profile.costs.copy_ns_per_row) == (0, 0, 0)
    assert profile.share(0, 3, 0) == 1.0
    assert [profile.slowdown(x) for x in (0.3, 1.0, 2.5)] == [1.0, 1.0, 2.5]


def test_costs_are_given_in_microseconds() -> None:
    costs = Profile.from_table(table(launch_us=5, boundary_us=1.5, copy_us_per_row=0.25)).costs
    assert (costs.launch_ns, costs.boundary_ns, costs.copy_ns_per_row) == (5_000, 1_500, 250)


def test_a_measured_slowdown_counts_from_a_full_device_and_never_speeds_up() -> None:
    profile = Profile.from_table(table(slowdown={"1.0": 0.9, "2.0": 1.5}))
    assert [profile.slowdown(x) for x in (0.5, 1.1, 1.5, 2.0)] == pytest.approx([1.0, 1.0, 1.2, 1.5])
    assert profile.slowdown(3.0) == pytest.approx(2.1)  # the last segment goes on


def test_capacity_is_one_over_the_mix_of_best_times() -> None:
    """1 / sum over lanes of p * min over b of T(lane, b) / b, on the whole model."""
    one = Profile.from_table(table())
    best_s = min((3.0, 4.0 / 2, 5.0 / 3, 6.0 / 4, 6.5 / 5, 7.0 / 6, 7.5 / 7, 8.0 / 8)) / 1000
    assert one.capacity_rps(8) == pytest.approx(1 / best_s)
    assert one.capacity_rps(2) == pytest.approx(1 / 0.002)
    assert one.capacity_rps(99) == one.capacity_rps(8)
    lanes = {"8": {"stages": [{"latency_ms": {"1": 1, "2": 1}}]}, "16": {"stages": [{"latency_ms": {"1": 3, "2": 4}}]}}
    two = Profile.from_table({"lanes": lanes})
    assert two.capacity_rps(2, [0.75, 0.25]) == pytest.approx(1 / (0.75 * 0.0005 + 0.25 * 0.002))
    assert two.capacity_rps(1, [1.0, 0.0]) == pytest.approx(1000)
    assert two.capacity_rps(2) == two.capacity_rps(2, [0.5, 0.5])


def test_the_favored_batch_is_the_smallest_that_reaches_the_tolerance() -> None:
    stages = [{"latency_ms": {"1": 1.0, "2": 1.0, "4": 1.95, "8": 3.9}}, {"latency_ms": {"1": 1.0, "8": 1.0}}]
    profile = Profile.from_table({"stages": stages})
    assert profile.favored_batch(0) == 2  # 2 of the best 2.05 a ms
    assert profile.favored_batch(0, tolerance=1.0) == 4
    assert profile.favored_batch(1) == 8


def test_lanes_are_sorted_by_us() -> None:
    lane = {"stages": [{"latency_ms": {"1": 1}}]}
    assert Profile.from_table({"lanes": {"128": lane, "32": lane}}).lanes == (32, 128)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lanes": {}}, "either 'stages' or 'lanes'"),
        ({"stages": []}, "one or more stages"),
        ({"stages": "x"}, "one or more stages"),
        ({"stages": [3]}, r"stages\[0\]: wanted an object, got 3"),
        ({"stages": [{}]}, r"stages\[0\]: 'latency_ms' is missing"),
        ({"stages": [{"latency_ms": {}}]}, "one or more positive sizes"),
        ({"stages": [{"latency_ms": {"0": 1}}]}, "one or more positive sizes"),
        ({"stages": [{"latency_ms": {"1": "fast"}}]}, "wanted a number, got 'fast'"),
        ({"stages": [{"latency_ms": {"one": 1}}]}, "wanted a number, got 'one'"),
        ({"stages": [{"latency_ms": {"1": -1}}]}, "a number of 0 or more, got -1"),
        ({"stages": [{"latency_ms": {"1": float("nan")}}]}, "a number of 0 or more, got nan"),
        ({"stages": [{"latency_ms": {"1": float("inf")}}]}, "a number of 0 or more, got inf"),
        ({"stages": [{"latency_ms": {"1": 0}}]}, "a time above 0"),
        ({"stages": [{"latency_ms": {"1": 1, "1.0": 2}}]}, "rising order"),
        ({"stages": [{"latency_ms": {"1": 1}, "share": {"1": 0}}]}, r"share must lie in \(0, 1\]"),
        ({"stages": [{"latency_ms": {"1": 1}, "share": {"1": 1.5}}]}, r"share must lie in \(0, 1\]"),
        ({"batch_sizes": [1, 16]}, "go past the table's 8"),
        ({"batch_sizes": [0, 2]}, "positive integers"),
        ({"batch_sizes": []}, "batch_sizes"),
        ({"batch_sizes": 4}, "positive integers"),
        ({"launch_us": "x"}, "launch_us: wanted a number"),
        ({"cores": 1.5}, "cores: wanted an integer of 1 or more, got 1.5"),
        ({"boundary_us": -1}, "boundary_us"),
        ({"slowdown": []}, "slowdown: wanted an object"),
    ],
)
def test_a_malformed_table_is_refused_by_what_is_wrong_with_it(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        Profile.from_table(table(**change))


@pytest.mark.parametrize("lengths", [("0",), ("8.5",), ("x",), ("-4",)])
def test_a_malformed_lane_is_refused(lengths: tuple[str, ...]) -> None:
    with pytest.raises(ProfileError, match="lanes"):
        Profile.from_table({"lanes": {length: {"stages": [{"latency_ms": {"1": 1}}]} for length in lengths}})


def test_lanes_of_different_depth_are_refused() -> None:
    stage = {"latency_ms": {"1": 1}}
    with pytest.raises(ProfileError, match="same number of stages"):
        Profile.from_table({"lanes": {"4": {"stages": [stage]}, "8": {"stages": [stage, stage]}}})


def test_the_digest_tells_profiles_apart_and_survives_the_way_through_json() -> None:
    one = Profile.from_table(table())
    again = Profile.from_table(json.loads(json.dumps(one.to_table())))
    assert again.digest == one.digest
    others = [
        table(launch_us=1),
        table(batch_sizes=[8]),
        table(whole={"1": 1, "8": 3}),
        table(slowdown={"1": 1, "2": 3}),
    ]
    assert len({one.digest, *(Profile.from_table(other).digest for other in others)}) == 5


@settings(derandomize=True, deadline=None, database=None, max_examples=50)
@given(st.dictionaries(st.integers(1, 20), st.integers(1, 1000), min_size=1, max_size=6), st.floats(0.5, 25))
def test_a_curve_goes_through_its_points_and_never_leaves_its_neighbours(points: dict[int, int], x: float) -> None:
    rising = sorted((float(a), float(b)) for a, b in points.items())
    curve = Curve(tuple(rising))
    assert all(curve.at(a) == pytest.approx(b) for a, b in rising)
    around = [b for a, b in rising if a <= x][-1:] + [b for a, b in rising if a >= x][:1]
    if x <= rising[-1][0]:
        assert min(around) - 1e-9 <= curve.at(x) <= max(around) + 1e-9


@pytest.mark.parametrize("points", [(), ((1.0, 1.0), (1.0, 2.0)), ((2.0, 1.0), (1.0, 2.0))])
def test_a_curve_needs_rising_points(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ProfileError, match="rising order"):
        Curve(points)


def test_more_disturbance_slows_down_what_runs_at_once_and_nothing_alone() -> None:
    stage = {"latency_ms": {"1": 1.0, "4": 2.0}, "share": {"1": 0.4, "4": 0.9}}
    usual = Profile.from_table({"stages": [stage], "cores": 2, "wake_us": 50})
    more = usual.at_disturbance(1.25)
    assert [more.share(0, batch, 0) for batch in (1, 4)] == [0.625, 1.0]
    assert [more.stage_ns(0, batch, 0) for batch in (1, 4)] == [usual.stage_ns(0, batch, 0) for batch in (1, 4)]
    assert more.costs == usual.costs
    assert more.slowdown(2 * more.share(0, 1, 0)) == 1.25
    same = usual.at_disturbance(1.0)
    assert same.slowdown(2 * same.share(0, 1, 0)) == usual.slowdown(2 * usual.share(0, 1, 0)) == 1.0


def test_another_speed_stretches_every_time_and_no_share() -> None:
    table = {
        "stages": [{"latency_ms": {"1": 1.0, "4": 2.0}, "share": {"1": 0.25, "4": 1.0}}],
        "whole": {"1": 0.9, "4": 1.8},
        "slowdown": {"1": 1, "2": 1.5},
        "launch_us": 10, "boundary_us": 20, "copy_us_per_row": 30, "transfer_us_per_row": 40, "wake_us": 50, "one_host": True,
        "bounce_us": 60, "bounce_us_per_row": 70, "launch_busy_us": 8, "boundary_busy_us": 9,
        "queueing_us": 4, "first_queueing_us": 3, "launch_busy_us_per_row": 2,
    }  # fmt: skip
    usual = Profile.from_table(table)
    slow = usual.at_speed(2.0)
    assert (slow.stage_ns(0, 4, 0), slow.whole_ns(4, 0)) == (2 * usual.stage_ns(0, 4, 0), 2 * usual.whole_ns(4, 0))
    assert (slow.share(0, 4, 0), slow.slowdown(1.5)) == (usual.share(0, 4, 0), usual.slowdown(1.5))
    assert slow.costs == Costs(
        20_000, 40_000, 60_000, 80_000, 100_000, one_host=True, bounce_ns=120_000, bounce_ns_per_row=140_000,
        launch_busy_ns=16_000, boundary_busy_ns=18_000, queueing_ns=8_000, first_queueing_ns=6_000,
        launch_busy_ns_per_row=4_000,
    )  # fmt: skip
    assert Profile.from_table(usual.to_table()).digest == usual.digest != slow.digest


def test_one_thread_for_all_and_a_core_each_are_not_both_to_be_had() -> None:
    with pytest.raises(ProfileError, match=r"one_host and cores \(2\) came, wanted one of them"):
        Profile.from_table({"stages": [{"latency_ms": {"1": 1.0}}], "one_host": True, "cores": 2})


def test_another_pace_of_the_host_stretches_what_keeps_its_thread_busy_alone() -> None:
    table = {
        "stages": [{"latency_ms": {"1": 1.0, "4": 2.0}, "share": {"1": 0.25, "4": 1.0}}],
        "launch_us": 10, "boundary_us": 20, "copy_us_per_row": 30, "transfer_us_per_row": 40, "wake_us": 50,
        "bounce_us": 60, "bounce_us_per_row": 70, "launch_busy_us": 8, "queueing_us": 4,
        "launch_busy_us_per_row": 2,
    }  # fmt: skip
    usual = Profile.from_table(table)
    slow = usual.at_pace(1.5)
    assert slow.costs == Costs(
        14_000, 30_000, 30_000, 40_000, 75_000, bounce_ns=60_000, bounce_ns_per_row=70_000,
        launch_busy_ns=12_000, queueing_ns=6_000, launch_busy_ns_per_row=3_000,
    )  # fmt: skip
    assert slow.stage_ns(0, 4, 0) == usual.stage_ns(0, 4, 0)


def test_at_another_clock_every_time_on_the_device_changes_and_no_cost() -> None:
    stages = [{"latency_ms": {"1": 1.0, "4": 2.0}}, {"latency_ms": {"1": 3.0, "4": 6.0}}]
    costs = {"launch_us": 100, "transfer_us_per_row": 5}
    measured = Profile.from_table(
        {"name": "clocked", "stages": stages, "whole": {"1": 3.5, "4": 7.0}, "sm_mhz": {"1": 2000, "4": 1600}, **costs}
    )
    there = measured.at_clock(1600)
    assert [there.stage_ns(stage, 1, 0) for stage in range(2)] == [1_250_000, 3_750_000]
    assert [there.stage_ns(stage, 4, 0) for stage in range(2)] == [2_000_000, 6_000_000]
    assert [there.whole_ns(batch, 0) for batch in (1, 4)] == [measured.whole_ns(batch, 0) for batch in (1, 4)]
    assert there.costs == measured.costs
    assert there.at_clock(800).stage_ns(0, 4, 0) == 4_000_000
    assert there.at_speed(1.0).sm_mhz == there.sm_mhz
    fewer = Profile.from_table({"name": "fewer", "stages": stages, "sm_mhz": {"2": 2000, "3": 1000}}).at_clock(1000)
    assert [fewer.stage_ns(0, batch, 0) for batch in (1, 4)] == [2_000_000, 2_000_000], "the nearest serves beyond"
    unclocked = Profile.from_table({"name": "unclocked", "stages": stages})
    assert unclocked.at_clock(1600) is unclocked


def test_under_load_all_sizes_keep_one_clock_that_rises_as_the_load_falls() -> None:
    stages = [{"latency_ms": {"1": 1.0, "4": 2.0}}]
    hot = Profile.from_table({"name": "hot", "stages": stages, "sm_mhz": {"1": 2000, "4": 1500}})
    took_ns = {
        load: [hot.at_load(load).stage_ns(0, batch, 0) for batch in (1, 4)] for load in (1.2, 1.0, 0.9, 0.75, 0.1)
    }
    assert took_ns[1.0] == took_ns[1.2] == [pytest.approx(4e6 / 3, abs=1), 2_000_000], "the clock of the heaviest size"
    assert took_ns[0.9] == [1_200_000, 1_800_000]
    assert took_ns[0.75] == took_ns[0.1] == [1_000_000, 1_500_000], "the clock of the lightest"
    assert hot.at_load(0.0).stage_ns(0, 4, 0) == 1_500_000
    waking = Profile.from_table({"name": "waking", "stages": stages, "sm_mhz": {"1": 900, "2": 2000, "4": 1500}})
    assert waking.at_load(1.0).stage_ns(0, 4, 0) == 2_000_000, "whatever the small ones were timed at"
    unclocked = Profile.from_table({"name": "unclocked", "stages": stages})
    assert unclocked.at_load(0.9) is unclocked


def test_large_batches_may_slow_down_by_less_than_the_clock() -> None:
    stages = [{"latency_ms": {"1": 1.0, "2": 1.0, "4": 2.0}}]
    table = {"name": "waiting", "stages": stages, "sm_mhz": {"1": 2000, "4": 2000}, "clock_power": {"1": 1.0, "4": 0.5}}
    waiting = Profile.from_table(table)
    slow = waiting.at_clock(500)
    assert [slow.stage_ns(0, batch, 0) for batch in (1, 4)] == [4_000_000, 4_000_000]
    assert slow.stage_ns(0, 2, 0) == pytest.approx(1e6 * 4 ** (5 / 6), abs=1), "between them, in between"
    assert slow.at_clock(2000).stage_ns(0, 4, 0) == 2_000_000, "and back"
    assert [waiting.slower_at(4.0, batch) for batch in (0.5, 1, 4, 9)] == [4.0, 4.0, 2.0, 2.0], (
        "beyond them the nearest"
    )
    again = Profile.from_table(waiting.to_table())
    assert again.digest == waiting.digest != Profile.from_table({**table, "clock_power": {"1": 1.0}}).digest
    with pytest.raises(ProfileError, match="clock_power lies from 0 to 1"):
        Profile.from_table({**table, "clock_power": {"1": 1.1}})


def test_a_clock_survives_the_way_through_json_and_lies_above_0() -> None:
    table = {"name": "clocked", "stages": [{"latency_ms": {"1": 1.0, "4": 2.0}}], "sm_mhz": {"1": 1980, "4": 1700.5}}
    told = Profile.from_table(table)
    assert told.sm_mhz is not None
    assert Profile.from_table(told.to_table()).sm_mhz.points == told.sm_mhz.points  # type: ignore[union-attr]
    with pytest.raises(ProfileError, match="sm_mhz must lie above 0"):
        Profile.from_table({**table, "sm_mhz": {"1": 0}})
