"""The dynamic programme against brute force, and what it should prefer."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.choose import Segment, choose, cost, favored_batch, shares
from slicer.errors import SliceError

segments = st.builds(Segment, st.integers(0, 200).map(lambda n: n / 1000), st.sampled_from([1, 2, 4, 8]))


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Segment], list[int], int]:
    parts = draw(st.lists(segments, min_size=1, max_size=8))
    cut_bytes = draw(st.lists(st.integers(0, 10**7), min_size=len(parts) - 1, max_size=len(parts) - 1))
    return parts, cut_bytes, draw(st.integers(1, len(parts)))


@given(problems())
@settings(deadline=None, max_examples=300, derandomize=True)
def test_equals_brute_force(problem: tuple[list[Segment], list[int], int]) -> None:
    parts, cut_bytes, stages = problem
    plan = choose(parts, cut_bytes, stages)
    best = min(cost(parts, cut_bytes, cuts) for cuts in combinations(range(len(cut_bytes)), stages - 1))
    assert plan.cost == best == cost(parts, cut_bytes, plan.cuts)
    assert list(plan.cuts) == sorted(set(plan.cuts))
    assert len(plan.cuts) == stages - 1
    assert plan == choose(parts, cut_bytes, stages)


def test_even_segments_are_cut_evenly() -> None:
    parts = [Segment(0.125, 1)] * 8
    assert choose(parts, [100] * 7, 4).cuts == (1, 3, 5)


def test_block_ends_win_over_perfect_balance() -> None:
    parts = [Segment(0.05, 1)] * 20
    cut_bytes = [500] * 19
    cut_bytes[10] = 100  # a block ends a little behind the middle
    assert choose(parts, cut_bytes, 2).cuts == (10,)


def test_a_tiny_tensor_at_the_end_does_not_attract_a_cut() -> None:
    cut_bytes = [1000] * 18 + [1]
    assert choose([Segment(0.05, 1)] * 20, cut_bytes, 2).cuts == (9,)


def test_parts_that_favour_different_batches_are_kept_apart() -> None:
    parts = [Segment(0.1, 4)] * 3 + [Segment(0.1, 16)] * 4 + [Segment(0.1, 4)] * 3
    assert choose(parts, [100] * 9, 3).cuts == (2, 6)


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(SliceError, match="3 stages were asked of 2 segments"):
        choose([Segment(0.5, 1)] * 2, [1], 3)
    with pytest.raises(SliceError, match="one fewer"):
        choose([Segment(0.5, 1)] * 2, [], 1)


def test_the_favoured_batch_is_the_smallest_near_the_best() -> None:
    assert favored_batch({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}) == 1  # flat: nothing is gained by batching
    assert favored_batch({1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}) == 8
    assert favored_batch({1: 1.0, 2: 1.0, 4: 1.0, 8: 2.0, 16: 4.0}) == 4
    assert favored_batch({1: 5.0}) == 1


def test_shares_sum_to_the_whole_and_hide_small_noise() -> None:
    quiet = shares([{1: 10.0, 4: 40.0}, {1: 30.0, 4: 120.0}])
    assert quiet == pytest.approx([0.25, 0.75])
    assert shares([{1: 10.001, 4: 40.001}, {1: 30.0, 4: 119.999}]) == quiet
