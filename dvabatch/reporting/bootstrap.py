"""Intervals for means of responses that depend on their neighbours.

Responses of one run are correlated (a backlog delays many queries in a row), so resampling them one by one gives
intervals that are far too narrow. The circular block bootstrap (Politis and Romano, 1992) resamples whole blocks of
consecutive queries; the block's length is chosen from the series itself (Politis and White, 2004, as corrected by
Patton, Politis and White, 2009). Long series are first folded into at most `GROUPS` sums of consecutive queries:
blocks are then whole groups, which costs nothing where blocks are longer than groups, and bounds time and memory.

One run sees one realisation of its load: its interval tells what more queries of that same stretch would have
shown. Where the correlation is nearly as long as the run, only more seeds help: on M/D/1 queues of 2,000 queries
the interval holds the true mean in 89 % of runs at a load of 0.5, 86 % at 0.7 and 67 % at 0.9.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .measured import IntArray

Floats = npt.NDArray[np.float64]

GROUPS: Final = 4096
RESAMPLES: Final = 2000
FEWEST: Final = 20  # below, a percentile interval of resampled means is far from its 95 %
_DRAWS_AT_ONCE: Final = 1 << 18  # 2 MiB of indices


@dataclass(frozen=True, slots=True)
class RatioEstimate:
    """A ratio of two means over the same queries, its 95 % interval and the two-sided p of "the ratio is 1"."""

    ratio: float
    low: float
    high: float
    p: float


def mean_interval(values: IntArray, seed: int = 0) -> tuple[float, float] | None:
    """The 95 % interval of the mean of `values` (any unit, in the order they arrived); None for fewer than `FEWEST`."""
    if len(values) < FEWEST:
        return None
    sums, counts = fold(values)
    (totals, sizes) = resample([sums, counts], block_length(sums / counts), seed)
    low, high = np.quantile(totals / sizes, (0.025, 0.975))
    return float(low), float(high)


def ratio_of_means(values: IntArray, baseline: IntArray, seed: int = 0) -> RatioEstimate | None:
    """mean(values) / mean(baseline) for two runs of the same schedule, entry i of both being the same query.

    Both are resampled with the same blocks, so what the schedule did to both cancels. None for fewer than `FEWEST`
    pairs or a baseline whose mean is 0.
    """
    if len(values) != len(baseline):
        raise ValueError(
            f"got {len(values)} responses against {len(baseline)}, wanted one pair per query of the same schedule"
        )
    if len(values) < FEWEST or not baseline.any():
        return None
    sums, counts = fold(values)
    against, _ = fold(baseline)
    length = max(block_length(sums / counts), block_length(against / counts))
    above, below = resample([sums, against], length, seed)
    ratios = above / np.maximum(below, np.finfo(np.float64).tiny)  # a resample of zeros only: a huge ratio, not a NaN
    return estimate_of(float(sums.sum() / against.sum()), ratios)


def estimate_of(ratio: float, resampled: Floats) -> RatioEstimate:
    """A ratio with the interval and the p of its RESAMPLES resamples."""
    low, high = np.quantile(resampled, (0.025, 0.975))
    # The p that belongs to a percentile interval: the level at which the interval would just touch 1.
    beyond = min(np.count_nonzero(resampled <= 1), np.count_nonzero(resampled >= 1))
    return RatioEstimate(ratio, float(low), float(high), min(1.0, 2 * (1 + int(beyond)) / (1 + RESAMPLES)))


def block_length(series: Floats) -> int:
    """The block length for a circular block bootstrap of the mean of a series (Politis and White, 2004)."""
    n = len(series)
    centred = series - series.mean()
    variance = float(centred @ centred) / n
    if variance == 0:
        return 1
    longest: int = math.ceil(min(3 * math.sqrt(n), n / 3))
    quiet_run = max(5, math.ceil(math.sqrt(math.log10(n))))
    lags = min(n - 1, math.ceil(math.sqrt(n)) + quiet_run)
    covariance = np.array([float(centred[: n - k] @ centred[k:]) / n for k in range(lags + 1)])
    loud = np.abs(covariance[1:] / variance) >= 2 * math.sqrt(math.log10(n) / n)
    # The last lag that still matters: behind it, `quiet_run` lags in a row are indistinguishable from noise.
    runs = np.convolve(loud, np.ones(quiet_run), mode="valid") == 0
    last = int(np.argmax(runs)) if runs.any() else int(np.flatnonzero(loud)[-1]) + 1
    window = min(2 * max(last, 1), lags)
    k = np.arange(1, window + 1)
    weights = np.clip(2 * (1 - k / window), 0, 1)  # the flat-top kernel
    spectrum = variance + 2 * float(weights @ covariance[1 : window + 1])
    if spectrum <= 0:  # strongly alternating: any block will do, independence is on the safe side
        return 1
    bend = 2 * float((weights * k) @ covariance[1 : window + 1])
    best: float = (2 * bend**2 / (4 / 3 * spectrum**2)) ** (1 / 3) * n ** (1 / 3)
    return max(1, min(longest, math.ceil(best)))


def fold(values: IntArray) -> tuple[Floats, Floats]:
    """Sums over at most GROUPS runs of consecutive values, and how many values are in each."""
    n = len(values)
    if n <= GROUPS:
        return values.astype(np.float64), np.ones(n)
    groups = GROUPS
    edges = np.arange(groups + 1, dtype=np.int64) * n // groups
    sums = np.array([float(values[a:b].sum(dtype=np.float64)) for a, b in itertools.pairwise(edges)])
    return sums, np.diff(edges).astype(np.float64)


def resample(series: list[Floats], length: int, seed: int) -> list[Floats]:
    """Totals of each series over RESAMPLES resamples made of the same circular blocks, each as long as the series."""
    n = len(series[0])
    blocks = -(-n // length)
    last = n - (blocks - 1) * length  # the last block is cut, so that a resample is exactly as long as the series
    whole = [_circular_sums(one, length) for one in series]
    rest = [_circular_sums(one, last) for one in series]
    generator = np.random.Generator(np.random.PCG64(seed))
    totals = [np.empty(RESAMPLES) for _ in series]
    step = max(1, _DRAWS_AT_ONCE // blocks)
    for begin in range(0, RESAMPLES, step):
        starts = generator.integers(0, n, size=(min(step, RESAMPLES - begin), blocks))
        for total, full, cut in zip(totals, whole, rest, strict=True):
            total[begin : begin + step] = full[starts[:, :-1]].sum(axis=1) + cut[starts[:, -1]]
    return totals


def _circular_sums(series: Floats, length: int) -> Floats:
    """The sum of each block of `length` consecutive entries, wrapping around at the end."""
    running = np.concatenate(([0.0], np.cumsum(np.concatenate((series, series[: length - 1])))))
    return running[length:] - running[:-length]
