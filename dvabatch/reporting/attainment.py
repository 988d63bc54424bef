"""The share of offered queries that were answered in time, and how sure it is.

The interval is Clopper and Pearson's (1934), equal tails: it covers at least what it says at any share and any size,
also at shares near 1, where Wilson's one-sided coverage falls short. It agrees with the rule for percentiles
(`percentiles.answers_needed`): 368 queries, all in time, are just enough to show that 99 % are.

Queries that are late come in flocks, so that 2,000 neighbours say less than 2,000 strangers. Following Korn and Graubard
(1998), the interval is that of a smaller sample: its size is divided by the design effect (the variance of the share
between blocks of consecutive queries, over the binomial one), with Student's t for the few blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import numpy as np

from . import student
from .measured import Queries, Status

BLOCKS: Final = 20
CONFIDENCE: Final = 0.95
_HALVINGS: Final = 60  # to the last bit of a double near 1

Blocks: TypeAlias = tuple[tuple[int, int], ...]
"""Of consecutive queries each: how many were answered in time, and how many were offered."""


@dataclass(frozen=True, slots=True)
class Attainment:
    """How many of the offered queries were answered in time; `low` and `high` bound the true share with 95 %."""

    met: int
    offered: int
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.met <= self.offered or self.offered < 1 or not 0 <= self.low <= self.high <= 1:
            raise ValueError(
                f"{self.met} of {self.offered} queries in time, interval {self.low} .. {self.high}: wanted "
                "0 <= met <= offered, at least one offered, and 0 <= low <= high <= 1"
            )

    @property
    def share(self) -> float:
        return self.met / self.offered


def blocks_of(queries: Queries, bound_ns: int) -> Blocks:
    """A run in up to `BLOCKS` blocks of consecutive queries. One that was refused, failed or cancelled is not in time."""
    in_time = queries.status == Status.COMPLETED
    in_time &= queries.done_ns - queries.arrival_ns <= bound_ns
    parts = np.array_split(in_time, min(BLOCKS, len(in_time)))
    return tuple((int(np.count_nonzero(part)), len(part)) for part in parts)


def attainment(blocks: Sequence[tuple[int, int]], *, exact: bool = False) -> Attainment:
    """The share over all blocks. `exact`: the run has no chance in it, so that its share is the share."""
    met, offered = sum(each for each, _ in blocks), sum(each for _, each in blocks)
    if exact:
        return Attainment(met, offered, met / offered, met / offered)
    shrink = _worth(blocks, met, offered)
    low, high = clopper_pearson(met * shrink, offered * shrink)
    return Attainment(met, offered, low, high)


def _worth(blocks: Sequence[tuple[int, int]], met: int, offered: int) -> float:
    """What one of these queries is worth, in independent ones; at most 1."""
    share, count = met / offered, len(blocks)
    if count < 2 or met in {0, offered}:
        return 1.0
    spread = math.fsum((each - share * size) ** 2 for each, size in blocks) * count / (count - 1)
    effect = spread / (offered * share * (1 - share))
    return min(1.0, _few_blocks(count) / effect) if effect > 0 else 1.0


@cache
def _few_blocks(count: int) -> float:
    """By how much less a variance is worth that was taken from so many blocks."""
    return (student.NORMAL_95 / student.quantile(CONFIDENCE, count - 1)) ** 2


def clopper_pearson(met: float, offered: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share of which `met` of `offered` were seen; both may be fractions."""
    if not 0 <= met <= offered or offered <= 0 or not 0 < confidence < 1:
        raise ValueError(
            f"wanted 0 <= met <= offered, offered > 0 and a confidence in (0, 1), got {met}, {offered}, {confidence}"
        )
    tail, missed = (1 - confidence) / 2, offered - met
    low = 0.0 if met == 0 else 1 - _beta_quantile(1 - tail, missed + 1, met)
    high = 1.0 if missed == 0 else 1 - _beta_quantile(tail, missed, met + 1)
    return low, high


def _beta_quantile(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if incomplete_beta(middle, a, b) < probability else (low, middle)
    return high


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for a, b > 0 (DLMF 8.17.22, a continued fraction)."""
    if x <= 0 or x >= 1:
        return min(1.0, max(0.0, x))
    if x > (a + 1) / (a + b + 2):  # beyond, the fraction of the mirrored one converges fast
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    ) / a  # fmt: skip
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ..)), by the ratios of its convergents' numerators and denominators."""
    value = above = 1.0
    below = 0.0
    for step in range(1, 100_000):
        m = step // 2
        if step % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        above = 1 + d / above
        below = 1 / (1 + d * below)
        change = above * below
        value *= change
        if abs(change - 1) < 1e-15:
            return value
    raise ArithmeticError(f"the incomplete beta function at {x}, {a}, {b} did not settle")
