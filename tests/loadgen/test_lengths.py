"""Lengths: what is drawn agrees with what is worked out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.loadgen.lengths import (
    ConstantLength,
    HistogramLength,
    LengthDistribution,
    LognormalLength,
    RecordedLengths,
    UniformLength,
    share_per_lane,
)

small = st.integers(1, 300)
distributions: st.SearchStrategy[LengthDistribution] = st.one_of(
    st.builds(ConstantLength, small),
    st.builds(lambda low, more: UniformLength(low, low + more), small, st.integers(0, 300)),
    st.builds(lambda median, sigma: LognormalLength(median, sigma, 300), st.floats(0.1, 300), st.floats(0, 3)),
    st.dictionaries(small, st.floats(0, 10), min_size=1)
    .filter(lambda weights: any(weights.values()))
    .map(HistogramLength),
    st.lists(small, min_size=1, max_size=20).map(lambda values: RecordedLengths(np.array(values * 100))),
)


@given(distributions, st.integers(0, 2**32))
def test_samples_are_lengths(distribution: LengthDistribution, seed: int) -> None:
    lengths = distribution.sample(100, np.random.default_rng(seed))
    assert lengths.dtype == np.int32
    assert lengths.shape == (100,)
    assert lengths.min() >= 1
    assert lengths.max() <= distribution.longest
    again = distribution.sample(100, np.random.default_rng(seed))
    np.testing.assert_array_equal(lengths, again)


@given(distributions, st.sets(small, min_size=1, max_size=6))
def test_shares_partition_what_fits(distribution: LengthDistribution, buckets: set[int]) -> None:
    shares = share_per_lane(distribution, buckets)
    assert list(shares) == sorted(buckets)
    assert all(0 <= share <= 1 for share in shares.values())
    assert sum(shares.values()) == pytest.approx(distribution.probability_up_to(max(buckets)))
    assert distribution.probability_up_to(0) == 0
    assert distribution.probability_up_to(distribution.longest) == pytest.approx(1)


@pytest.mark.parametrize(
    "distribution",
    [
        ConstantLength(64),
        UniformLength(8, 128),
        LognormalLength(48, 0.7, 128),
        LognormalLength(48, 0, 128),
        LognormalLength(2, 2.0, 128),
        HistogramLength({128: 1, 16: 5, 40: 0, 33: 2.5}),
    ],
)
def test_shares_are_those_of_a_large_sample(distribution: LengthDistribution) -> None:
    sample = distribution.sample(200_000, np.random.default_rng(1))
    counted, _ = np.histogram(sample, bins=[1, 33, 65, 129])
    shares = share_per_lane(distribution, [128, 32, 64])
    np.testing.assert_allclose(list(shares.values()), counted / len(sample), atol=0.005)


def test_shares_by_hand() -> None:
    assert share_per_lane(UniformLength(1, 100), [25, 75]) == {25: 0.25, 75: 0.5}  # a quarter fits no lane
    assert share_per_lane(HistogramLength({10: 1, 20: 3}), [15, 20, 30]) == {15: 0.25, 20: 0.75, 30: 0}
    assert share_per_lane(RecordedLengths(np.array([3, 9, 9, 40])), [9]) == {9: 0.75}


def test_lognormal_keeps_its_median_and_piles_up_at_the_maximum() -> None:
    sample = LognormalLength(48, 0.7, 128).sample(100_000, np.random.default_rng(2))
    assert np.median(sample) == pytest.approx(48, abs=1)
    beyond = 0.5 * math.erfc(math.log(127.5 / 48) / (0.7 * math.sqrt(2)))
    assert (sample == 128).mean() == pytest.approx(beyond, rel=0.05)


def test_uniform_includes_both_ends() -> None:
    assert set(UniformLength(3, 5).sample(200, np.random.default_rng(0)).tolist()) == {3, 4, 5}


def test_recorded_lengths_come_in_their_order() -> None:
    recorded = RecordedLengths(np.array([5, 1, 7]))
    assert recorded.sample(2, np.random.default_rng(0)).tolist() == [5, 1]
    with pytest.raises(ValueError, match="4 lengths are asked of a record of 3"):
        recorded.sample(4, np.random.default_rng(0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConstantLength(0),
        lambda: ConstantLength(2**31),
        lambda: ConstantLength(1.5),  # type: ignore[arg-type]
        lambda: UniformLength(5, 4),
        lambda: UniformLength(0, 4),
        lambda: LognormalLength(0, 1, 10),
        lambda: LognormalLength(11, 1, 10),
        lambda: LognormalLength(5, -1, 10),
        lambda: LognormalLength(5, math.nan, 10),
        lambda: HistogramLength({}),
        lambda: HistogramLength({5: 0}),
        lambda: HistogramLength({0: 1}),
        lambda: HistogramLength({5: -1, 6: 2}),
        lambda: HistogramLength({5: math.inf}),
        lambda: RecordedLengths(np.array([1, 0])),
        lambda: RecordedLengths(np.array([], dtype=np.int32)),
        lambda: RecordedLengths(np.array([1.0])),
        lambda: share_per_lane(ConstantLength(1), []),
        lambda: share_per_lane(ConstantLength(1), [0]),
    ],
)
def test_impossible_lengths_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=r"must|needs"):
        make()
