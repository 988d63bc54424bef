"""Limits are checked at birth, and a lane is found for every length that has one."""

from __future__ import annotations

from typing import Any

import pytest

from dvabatch.batching.limits import Limits


@pytest.mark.parametrize("name", ["stages", "max_batch", "buffer_sets", "executors_per_stage", "max_queue"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_below_one_are_refused_by_name(name: str, value: int) -> None:
    options: dict[str, Any] = {"stages": 2, "max_batch": 4, name: value}
    with pytest.raises(ValueError, match=f"{name} is {value}; it must be 1 or more"):
        Limits(**options)


@pytest.mark.parametrize("lanes", [(), (8, 4), (4, 4), (None, 4), (4, None), (None, None)])
def test_lanes_rise_or_are_none(lanes: tuple[int | None, ...]) -> None:
    with pytest.raises(ValueError, match="lanes are"):
        Limits(1, 1, lanes=lanes)


@pytest.mark.parametrize(
    ("length", "lane"), [(1, 0), (4, 0), (5, 1), (8, 1), (9, 2), (16, 2), (17, None), (10**6, None), (None, None)]
)
def test_a_length_goes_into_the_smallest_bucket_that_takes_it(length: int | None, lane: int | None) -> None:
    assert Limits(1, 1, lanes=(4, 8, 16)).lane_of(length) == lane


@pytest.mark.parametrize("length", [None, 1, 10**6])
def test_a_model_without_lengths_has_one_lane_for_all(length: int | None) -> None:
    assert Limits(1, 1).lane_of(length) == 0


def test_the_last_stage() -> None:
    assert Limits(4, 1).last_stage == 3
