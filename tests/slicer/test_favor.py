"""Favoured batches: the smallest near the best, and the same for neighbours unless a change pays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.errors import SliceError
from slicer.favor import favored_batch, favored_batches

SIZES = (1, 2, 4, 8, 16)
FLAT = {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0, 16: 16.0}  # nothing is gained by batching
STEEP = {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0, 16: 1.0}
KNEE = {1: 1.0, 2: 1.0, 4: 1.0, 8: 2.0, 16: 4.0}  # gains up to 4

factors = st.lists(st.lists(st.floats(0.95, 1.05), min_size=5, max_size=5), min_size=12, max_size=12)


def test_the_favoured_batch_is_the_smallest_near_the_best() -> None:
    assert favored_batch(FLAT) == 1
    assert favored_batch(STEEP) == 16
    assert favored_batch(KNEE) == 4
    assert favored_batch({1: 5.0}) == 1
    with pytest.raises(SliceError, match="no latency was measured"):
        favored_batch({})


@given(factors)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_noise_splits_no_chain_of_like_parts(noise: list[list[float]]) -> None:
    noisy = [{size: FLAT[size] * factor for size, factor in zip(SIZES, row, strict=True)} for row in noise]
    assert len(set(favored_batches(noisy, [1 / 12] * 12))) == 1


@given(factors)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_a_middle_that_favours_more_is_found_through_noise(noise: list[list[float]]) -> None:
    truth = [KNEE] * 4 + [STEEP] * 4 + [KNEE] * 4
    noisy = [
        {size: curve[size] * factor for size, factor in zip(SIZES, row, strict=True)}
        for curve, row in zip(truth, noise, strict=True)
    ]
    assert favored_batches(noisy, [1 / 12] * 12) == [4] * 4 + [16] * 4 + [4] * 4


def test_a_part_that_hardly_counts_follows_its_neighbours() -> None:
    assert favored_batches([KNEE, STEEP, KNEE], [0.499, 0.002, 0.499]) == [4, 4, 4]
    assert favored_batches([KNEE, STEEP, KNEE], [0.3, 0.4, 0.3]) == [4, 16, 4]
    assert favored_batches([FLAT, FLAT], [0.0, 0.0]) == [1, 1]
    assert favored_batches([], []) == []
