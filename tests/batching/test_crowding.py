"""Crowding: who slows whom down, and which tables of it are refused."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.batching.crowding import Crowding
from dvabatch.batching.curve import Curve
from dvabatch.batching.errors import ProfileError
from dvabatch.batching.profile import Profile

SMALL = Curve(((2, 1.4), (4, 1.6), (8, 2.0)))
LARGE = Curve(((2, 1.8), (4, 3.6), (8, 7.6)))


def table(crowding: object) -> dict[str, object]:
    stages = [{"latency_ms": {"1": 1.0, "8": 3.0}, "share": {"1": 0.25, "8": 1.0}} for _ in range(2)]
    return {"name": "crowded", "stages": stages, "crowding": crowding}


def test_one_alone_is_not_slowed_and_alike_ones_are_as_measured() -> None:
    crowding = Crowding({1: SMALL, 8: LARGE})
    assert crowding.slowdown(1, 1.0) == 1.0
    assert [crowding.slowdown(1, n) for n in (2, 4, 8)] == [1.4, 1.6, 2.0]
    assert [crowding.slowdown(8, n) for n in (2, 4, 8)] == [1.8, 3.6, 7.6]
    assert crowding.slowdown(1, 3) == pytest.approx(1.5)
    assert crowding.slowdown(1, 12) == pytest.approx(2.4), "the last segment goes on"


@given(st.integers(1, 12), st.floats(1.0, 100.0), st.floats(0.0, 50.0))
def test_more_company_never_helps_and_sizes_lie_between_their_neighbours(batch: int, crowd: float, more: float) -> None:
    crowding = Crowding({1: SMALL, 8: LARGE})
    here = crowding.slowdown(batch, crowd)
    assert 1.0 <= here <= crowding.slowdown(batch, crowd + more)
    assert crowding.slowdown(1, crowd) <= here + 1e-9
    assert here <= crowding.slowdown(8, crowd) + 1e-9


def test_a_table_keeps_its_crowding() -> None:
    given_ = {"1": {"2": 1.4, "4": 1.6}, "8": {"2": 1.8, "4": 3.6}}
    profile = Profile.from_table(table(given_))
    assert profile.crowding is not None
    assert profile.to_table()["crowding"] == given_
    assert Profile.from_table(profile.to_table()).digest == profile.digest
    assert profile.at_speed(2.0).to_table()["crowding"] == given_
    assert profile.device_ns(8, 0) == pytest.approx(6e6)
    assert profile.device_ns(1, 0) == pytest.approx(0.5e6)


def test_every_lane_has_a_crowding_of_its_own_or_none_has() -> None:
    short, long_ = {"1": {"2": 1.4}}, {"1": {"2": 1.9}}
    lanes: dict[str, dict[str, object]] = {"8": {**table(short)}, "64": {**table(long_)}}
    profile = Profile.from_table({"name": "crowded", "lanes": lanes})
    assert profile.crowding is not None
    assert [of_lane.slowdown(1, 2) for of_lane in profile.crowding] == [1.4, 1.9]
    assert Profile.from_table(profile.to_table()).digest == profile.digest
    del lanes["64"]["crowding"]
    with pytest.raises(ProfileError, match="1 of 2 lanes have a crowding"):
        Profile.from_table({"name": "crowded", "lanes": lanes})


@pytest.mark.parametrize(
    ("crowding", "said"),
    [
        ({}, "crowding is empty"),
        ([], "crowding"),
        ({"1": {"2": 0.9}}, r"crowding\.1: slowdowns of 2 or more at once lie from 1"),
        ({"1": {"1": 1.0, "2": 1.2}}, r"crowding\.1: slowdowns of 2 or more"),
        ({"1": {"2": 2.0, "4": 1.5}}, r"crowding\.1: slowdowns|never faster"),
        ({"1": {"2": 1.2}, "8": {"4": 1.2}}, "the same numbers at once"),
        ({"1": {"2": 1.2, "4": 1e9}}, "lie from 1 to 1e"),
        ({"one": {"2": 1.2}}, "crowding"),
        ({"1": {"2": 1.2}, "1.0": {"2": 1.3}}, "each once"),
        ({"0": {"2": 1.2}}, "wanted integers from 1"),
        ({"1.5": {"2": 1.2}}, "wanted integers from 1"),
        ({"1": {str(n): float(n) for n in range(2, 100)}}, "98 numbers at once, wanted at most 64"),
    ],
)
def test_what_is_no_crowding_is_refused_by_name(crowding: object, said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        Profile.from_table(table(crowding))


def test_a_small_table_takes_little_memory() -> None:
    """Curves are made for the batches that run, and not for all of a table that goes to 65,536."""
    points = {str(n): 1.0 + n / 100 for n in range(2, 60)}
    stage = {"latency_ms": {"1": 1.0, "65536": 2.0}}
    tracemalloc.start()
    profile = Profile.from_table({"stages": [stage], "crowding": {"1": points, "65536": points}})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert profile.crowding is not None
    assert profile.crowding[0].slowdown(30_000, 10.5) == pytest.approx(1.105)
    assert peak < 64 << 20


def test_a_launch_waits_for_a_part_of_the_others() -> None:
    crowding = Crowding({1: SMALL, 8: LARGE})
    assert crowding.part(1, 2) == pytest.approx(0.4)
    assert crowding.part(1, 4) == pytest.approx(0.2)
    assert crowding.part(8, 8) == pytest.approx(6.6 / 7)
    assert crowding.part(1, 1.0) == pytest.approx(0.4), "beside next to nothing, as beside one"


@given(st.integers(1, 8), st.floats(1.0, 50.0))
def test_a_part_tells_the_slowdown_of_alike_launches(batch: int, crowd: float) -> None:
    crowding = Crowding({1: SMALL, 8: LARGE})
    assert 1 + crowding.part(batch, crowd) * (crowd - 1) == pytest.approx(crowding.slowdown(batch, crowd), rel=1e-5)
