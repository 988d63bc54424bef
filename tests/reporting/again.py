"""The intervals of a report once more: the circular block bootstrap (Politis and Romano, 1992) by its formulas, in integers.

The block's length is Politis and White's (2004, as corrected by Patton, Politis and White, 2009), with the constants that the
guide names. Nothing here is the package's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

FEWEST = 20
GROUPS = 4096
RESAMPLES = 2000


def mean_interval(values: Sequence[int]) -> tuple[float, float] | None:
    """The 95 % interval of a mean, of values in the order of their arrival."""
    if len(values) < FEWEST:
        return None
    sums, sizes = folded(values)
    total, count = resampled([sums, sizes], block_length(sums / sizes))
    means = np.sort(total / count)
    return quantile(means, 0.025), quantile(means, 0.975)


def ratio_interval(over: Sequence[int], under: Sequence[int]) -> tuple[float, float, float]:
    """The 95 % interval of a ratio of means, query i of both being the same, and the p of "it is 1"."""
    one, sizes = folded(over)
    other, _ = folded(under)
    length = max(block_length(one / sizes), block_length(other / sizes))
    above, below = resampled([one, other], length)
    ratios = np.sort(above / below)
    beyond = min(sum(ratios <= 1), sum(ratios >= 1))
    p = min(1.0, 2 * (1 + int(beyond)) / (1 + RESAMPLES))
    return quantile(ratios, 0.025), quantile(ratios, 0.975), p


def folded(values: Sequence[int]) -> tuple[Integers, Integers]:
    """Long series become sums of neighbours, and how many each is of."""
    groups = min(GROUPS, len(values))
    edges = [group * len(values) // groups for group in range(groups + 1)]
    pairs = list(itertools.pairwise(edges))
    return np.array([sum(values[a:b]) for a, b in pairs]), np.array([b - a for a, b in pairs])


def resampled(series: Sequence[Integers], length: int) -> list[Integers]:
    """Totals of resamples made of the same blocks of neighbours; the last block is cut to fit."""
    n = len(series[0])
    blocks = math.ceil(n / length)
    starts = np.random.Generator(np.random.PCG64(0)).integers(0, n, size=(RESAMPLES, blocks))
    lengths = np.array([length] * (blocks - 1) + [n - (blocks - 1) * length])
    totals = []
    for one in series:
        before = np.concatenate(([0], np.cumsum(np.concatenate((one, one)))))  # the sum of all that lie before
        totals.append((before[starts + lengths] - before[starts]).sum(axis=1))
    return totals


def block_length(series: Floats) -> int:
    n = len(series)
    apart = series - series.mean()

    def covariance(lag: int) -> float:
        return math.fsum(apart[: n - lag] * apart[lag:]) / n

    variance = covariance(0)
    if variance == 0:
        return 1
    quiet = max(5, math.ceil(math.sqrt(math.log10(n))))
    farthest = min(n - 1, math.ceil(math.sqrt(n)) + quiet)
    band = 2 * math.sqrt(math.log10(n) / n)
    loud = {lag for lag in range(1, farthest + 1) if abs(covariance(lag) / variance) >= band}
    ends = [m for m in range(farthest - quiet + 1) if not loud & set(range(m + 1, m + quiet + 1))]
    window = min(2 * max(1, ends[0] if ends else max(loud)), farthest)
    weighed = [(lag, min(1.0, 2 * (1 - lag / window)) * covariance(lag)) for lag in range(1, window + 1)]
    spectrum = variance + 2 * math.fsum(each for _, each in weighed)
    if spectrum <= 0:
        return 1
    bend = 2 * math.fsum(lag * each for lag, each in weighed)
    best = (2 * bend**2 / (4 / 3 * spectrum**2) * n) ** (1 / 3)
    return max(1, min(math.ceil(min(3 * math.sqrt(n), n / 3)), math.ceil(best)))


def quantile(ordered: Floats, share: float) -> float:
    """Linear between its neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    return float(ordered[low] + (ordered[low + 1] - ordered[low]) * (place - low))
