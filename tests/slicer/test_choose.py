"""The dynamic programme against brute force, and what it should prefer."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.choose import Segment, choose, cost, settle
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


def test_many_segments_are_as_exact_as_few() -> None:
    # Costs fall with every cut moved towards its place, so the plan of 48 stages is known.
    parts = [Segment(0.005, 1), Segment(0.005, 1)] * 48
    assert choose(parts, [100, 50] * 47 + [100], 48).cuts == tuple(range(1, 94, 2))


EVEN = [1 / 24] * 24


@given(st.lists(st.floats(0.95, 1.05), min_size=26, max_size=26), st.sampled_from([3, 4, 5, 6, 7]))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_noise_of_five_percent_never_changes_the_plan_of_an_even_net(noise: list[float], stages: int) -> None:
    # 26 segments divide by none of these: many plans cost the same, and noise alone would choose among them.
    even = [1 / 26] * 26
    measured = [Segment(share * factor, 1) for share, factor in zip(even, noise, strict=True)]
    wanted = choose([Segment(share, 1) for share in even], [100] * 25, stages).cuts
    assert settle(measured, even, [100] * 25, stages, 0.0).cuts == wanted


@given(st.lists(st.floats(0.95, 1.05), min_size=24, max_size=24))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_what_timing_tells_clearly_wins_over_the_estimate(noise: list[float]) -> None:
    # The last six segments take four times what their shapes say, and blocks end at every third.
    truth = [1.0] * 18 + [4.0] * 6
    measured = [Segment(share * factor / sum(truth), 1) for share, factor in zip(truth, noise, strict=True)]
    cut_bytes = [100 if place % 3 == 2 else 300 for place in range(23)]
    quiet = [Segment(share / sum(truth), 1) for share in truth]
    plan = settle(measured, EVEN, cut_bytes, 2, 0.0)
    assert plan.cuts == choose(quiet, cut_bytes, 2).cuts == (17,)
    assert plan.slowest == pytest.approx(4 / 7, abs=0.05)
    assert choose([Segment(share, 1) for share in EVEN], cut_bytes, 2).cuts == (11,)


def test_noise_widens_what_counts_as_a_tie() -> None:
    measured = [Segment(share / 30, 1) for share in [1] * 18 + [2] * 6]
    sure = settle(measured, EVEN, [100] * 23, 2, 0.0)
    unsure = settle(measured, EVEN, [100] * 23, 2, 0.2)
    assert (sure.cuts, unsure.cuts) == ((14,), (11,))
    assert sure.slowest == pytest.approx(0.5, abs=0.01)
    assert unsure.slowest == pytest.approx(0.6, abs=0.01)  # as measured, not as estimated


def test_a_cut_moved_by_a_grain_costs_a_grain_more() -> None:
    # Lighter cuts fade with distance: a window with an edge would make the cost jump as one leaves it.
    def at(distance: float) -> float:
        parts = [Segment(0.5 - distance, 1), Segment(distance, 1), Segment(0.5, 1)]
        return cost(parts, [400, 100], [0])

    costs = [at(step / 1000) for step in range(400)]
    assert max(abs(one - other) for one, other in pairwise(costs)) < 0.005
