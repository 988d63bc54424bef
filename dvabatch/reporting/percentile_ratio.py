"""Ratios of percentiles of two runs of one schedule, with intervals by the same paired blocks as those of means.

To sort two thousand resamples of a long run is slow, and needless: the percentile of a resample is, to first order, the order
statistic whose rank makes up for how many more or fewer answers of the resample lie below the run's own percentile (Bahadur's
representation; van der Vaart, Asymptotic Statistics, section 21.2). What is resampled is thus a series of counts, folded
like any other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .bootstrap import FEWEST, Floats, RatioEstimate, block_length, estimate_of, fold, resample
from .measured import IntArray
from .percentiles import PERCENTILES, rank, supported


def ratio_of_percentiles(values: IntArray, baseline: IntArray, name: str, seed: int = 0) -> RatioEstimate | None:
    """The percentile `name` ("p99") of `values` over that of `baseline`, entry i of both being the same query.

    None where the sample does not support that percentile, or the baseline's is 0.

    Raises:
        ValueError: the two are not of one length.
    """
    n = len(values)
    if n != len(baseline):
        raise ValueError(f"got {n} responses against {len(baseline)}, wanted one pair per query of the same schedule")
    if n < FEWEST or not supported(name, n):
        return None
    place = rank(PERCENTILES[name], n) - 1
    ordered = np.sort(values), np.sort(baseline)
    if ordered[1][place] == 0:
        return None
    below = [fold((run <= own[place]).astype(np.int64)) for run, own in zip((values, baseline), ordered, strict=True)]
    counts = below[0][1]
    length = max(block_length(hits / counts) for hits, _ in below)
    *hits, sizes = resample([below[0][0], below[1][0], counts], length, seed)
    moved = [
        _moved(own, place, one / sizes - float(sums.sum()) / n)
        for own, one, (sums, _) in zip(ordered, hits, below, strict=True)
    ]
    return estimate_of(float(ordered[0][place] / ordered[1][place]), moved[0] / np.maximum(moved[1], 1))


def above_percentile(values: IntArray, baseline: IntArray, name: str) -> tuple[IntArray, IntArray]:
    """int64 1 where a response of either run lies above the percentile `name` of both together, else 0.

    If that percentile is the same in both runs, as many of each lie above: what a permutation test can be asked.
    """
    pooled = np.concatenate((values, baseline))
    place = rank(PERCENTILES[name], len(pooled)) - 1
    limit = np.partition(pooled, place)[place]
    return (values > limit).astype(np.int64), (baseline > limit).astype(np.int64)


def _moved(ordered: IntArray, place: int, excess: npt.NDArray[np.float64]) -> Floats:
    """The order statistics that a share of `excess` more answers below makes of the one at `place`."""
    n = len(ordered)
    places = np.clip(np.rint(place - excess * n), 0, n - 1).astype(np.int64)
    moved: Floats = ordered[places].astype(np.float64)
    return moved
