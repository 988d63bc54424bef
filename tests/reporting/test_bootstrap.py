from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.reporting.bootstrap import FEWEST, block_length, mean_interval, ratio_of_means
from dvabatch.reporting.measured import IntArray


def correlated(n: int, seed: int, carry: float = 0.8) -> IntArray:
    """An AR(1) series around 10,000 with a standard deviation of about 1,000."""
    shocks = np.random.Generator(np.random.PCG64(seed)).normal(0, 1000 * (1 - carry**2) ** 0.5, n + 100)
    series, value = np.empty(n + 100), 0.0
    for index, shock in enumerate(shocks):
        value = carry * value + shock
        series[index] = value
    return (10_000 + series[100:]).astype(np.int64)


@pytest.mark.parametrize("carry", [0.0, 0.8])
def test_the_interval_holds_the_true_mean_as_often_as_it_says(carry: float) -> None:
    hits = 0
    for seed in range(100):
        low, high = mean_interval(correlated(600, seed, carry), seed=seed) or (0.0, 0.0)
        hits += low <= 9999.5 <= high  # truncation to whole ns takes half a unit
    assert 87 <= hits <= 99


def test_blocks_are_longer_where_neighbours_depend_on_each_other() -> None:
    free = block_length(correlated(2000, 1, 0.0).astype(np.float64))
    tied = block_length(correlated(2000, 1, 0.9).astype(np.float64))
    assert free <= 3
    assert tied > 20
    assert block_length(np.ones(50)) == 1


def test_it_is_deterministic_and_the_seed_matters() -> None:
    values = correlated(500, 3)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_few_answers_have_no_interval() -> None:
    assert mean_interval(np.arange(FEWEST - 1, dtype=np.int64)) is None
    assert mean_interval(np.arange(FEWEST, dtype=np.int64)) is not None
    assert ratio_of_means(np.arange(5, dtype=np.int64), np.arange(5, dtype=np.int64)) is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=FEWEST, max_size=200))
def test_the_interval_lies_within_the_values(values: list[int]) -> None:
    array = np.array(values, np.int64)
    low, high = mean_interval(array) or (-1.0, -1.0)
    assert min(values) * (1 - 1e-9) <= low <= high <= max(values) * (1 + 1e-9)


def test_pairing_sees_a_difference_that_the_noise_of_each_run_would_hide() -> None:
    baseline = correlated(2000, 5)
    estimate = ratio_of_means((baseline * 0.98).astype(np.int64), baseline)
    assert estimate is not None
    assert estimate.ratio == pytest.approx(0.98, abs=1e-4)
    assert estimate.low == pytest.approx(0.98, abs=1e-3)
    assert estimate.high < 1
    assert estimate.p < 0.01


def test_a_run_against_itself_is_no_different() -> None:
    values = correlated(300, 6)
    estimate = ratio_of_means(values, values)
    assert estimate is not None
    assert (estimate.ratio, estimate.low, estimate.high, estimate.p) == (1.0, 1.0, 1.0, 1.0)


def test_p_is_small_no_more_often_than_it_says() -> None:
    small = 0
    for seed in range(100):
        estimate = ratio_of_means(correlated(500, seed), correlated(500, seed + 1000), seed=seed)
        assert estimate is not None
        small += estimate.p < 0.05
        assert (estimate.p < 0.05) == (not estimate.low <= 1 <= estimate.high) or 0.04 < estimate.p < 0.06
    assert small <= 13


def test_pairs_need_the_same_queries() -> None:
    with pytest.raises(ValueError, match="30 responses against 20"):
        ratio_of_means(np.ones(30, np.int64), np.ones(20, np.int64))
    assert ratio_of_means(np.ones(30, np.int64), np.zeros(30, np.int64)) is None


def test_a_million_answers_need_little_memory() -> None:
    values = np.arange(1_000_000, dtype=np.int64) % 1000
    tracemalloc.start()
    mean_interval(values)
    ratio_of_means(values, values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 << 20
