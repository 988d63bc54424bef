from __future__ import annotations

import numpy as np
import pytest

from dvabatch.reporting.bootstrap import FEWEST
from dvabatch.reporting.measured import IntArray
from dvabatch.reporting.percentile_ratio import above_percentile, ratio_of_percentiles


def two_runs(seed: int, n: int = 1500, slower: float = 1.0) -> tuple[IntArray, IntArray]:
    """Two runs of one schedule: a common part that remembers the last 20 or so, and noise of its own in each."""
    draw = np.random.Generator(np.random.PCG64(seed))
    common = np.convolve(draw.exponential(1000.0, n + 19), np.ones(20), mode="valid")
    mine, theirs = (common * np.exp(0.05 * draw.standard_normal(n)) for _ in range(2))
    return (slower * mine).astype(np.int64), theirs.astype(np.int64)


@pytest.mark.parametrize("name", ["p50", "p90", "p99"])
def test_the_interval_holds_the_true_ratio_as_often_as_it_says(name: str) -> None:
    hits = 0
    for seed in range(60):
        found = ratio_of_percentiles(*two_runs(seed, slower=1.03), name, seed)
        assert found is not None
        hits += found.low <= 1.03 <= found.high
    assert hits >= 52


def test_it_is_the_ratio_of_the_two_order_statistics() -> None:
    values, baseline = np.arange(1, 101) * 3, np.arange(1, 101)
    found = ratio_of_percentiles(values, baseline, "p90")
    assert found is not None
    assert (found.ratio, found.low, found.high) == (3.0, 3.0, 3.0)
    assert found.p < 0.01


def test_the_approximation_agrees_with_sorting_every_resample() -> None:
    """The same blocks of one query each, resampled and sorted outright."""
    draw = np.random.Generator(np.random.PCG64(7))
    values, baseline = (draw.exponential(1e6, 2000).astype(np.int64) for _ in range(2))
    found = ratio_of_percentiles(values, baseline, "p90")
    assert found is not None
    ratios = []
    for _ in range(2000):
        chosen = draw.integers(0, 2000, 2000)
        mine, theirs = (np.partition(run[chosen], 1799)[1799] for run in (values, baseline))
        ratios.append(mine / theirs)
    low, high = np.quantile(ratios, (0.025, 0.975))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.35 * (high - low))
    assert found.high - found.low == pytest.approx(high - low, rel=0.25)


def test_a_run_against_itself_is_one_and_swapping_turns_it_round() -> None:
    mine, theirs = two_runs(3, slower=1.1)
    same = ratio_of_percentiles(mine, mine, "p99")
    assert same is not None
    assert (same.ratio, same.low, same.high, same.p) == (1.0, 1.0, 1.0, 1.0)
    there, back = ratio_of_percentiles(mine, theirs, "p50"), ratio_of_percentiles(theirs, mine, "p50")
    assert there is not None
    assert back is not None
    assert (1 / back.high, 1 / back.low) == pytest.approx((there.low, there.high), rel=1e-3)


def test_ties_and_what_a_sample_cannot_say() -> None:
    flat = np.full(500, 7)
    tied = ratio_of_percentiles(flat, flat, "p99")
    assert tied is not None
    assert (tied.low, tied.high) == (1.0, 1.0)
    assert ratio_of_percentiles(flat, np.zeros(500, np.int64), "p50") is None
    assert ratio_of_percentiles(flat[:367], flat[:367], "p99") is None
    assert ratio_of_percentiles(flat[: FEWEST - 1], flat[: FEWEST - 1], "p50") is None
    with pytest.raises(ValueError, match="500 responses against 499"):
        ratio_of_percentiles(flat, flat[1:], "p50")


def test_what_lies_above_the_percentile_of_both() -> None:
    above, below = above_percentile(np.array([3, 4, 9, 10]), np.array([1, 2, 3, 4]), "p50")
    assert (above.tolist(), below.tolist()) == ([0, 1, 1, 1], [0, 0, 0, 1])
