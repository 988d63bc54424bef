"""What a ratio with its interval says in words, and how many runs it would take to say more.

A ratio is new / old: above 1 the new one is slower. Effects below a minimum are of no interest, however certain: an interval
wholly inside the minimum on both sides says "no difference", wholly beyond it "faster" or "slower", and anything else that
nobody can tell yet. The minimum is the same on both sides as a factor, so that swapping the two swaps the words and no more.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

from . import student

SIGNIFICANT: Final = 0.05
MIN_EFFECT: Final = 0.01  # the smallest effect of interest where nobody asks for another
MOST_RUNS: Final = 1000  # beyond it no estimate is given: the effect lies on the minimum itself


class Verdict(str, Enum):
    """What is said of one comparison."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_DIFFERENCE = "no difference"
    CANNOT_TELL = "cannot tell"
    FEWER_ANSWERS = "fewer answers"  # it refused or failed queries that the other answered: no ratio of the rest counts
    INVALID = "invalid"  # one of the measurements failed


def answers_fewer(answered: float, by_other: float, min_effect: float = MIN_EFFECT) -> bool:
    """Whether one side answered so much less of the offered queries (both are shares) that its response times are no measure
    of it: whoever refuses what waits has little to do for the rest."""
    return by_other - answered > min_effect


def judge(interval: tuple[float, float] | None, p: float | None, min_effect: float) -> Verdict:
    """The verdict on the 95 % interval of a ratio; `min_effect` is a share, 0.01 for 1 %.

    `p` is that of the permutation test: a difference that it does not see is none to speak of. None where it could not be made.
    """
    if interval is None:
        return Verdict.CANNOT_TELL
    low, high = interval
    most = 1 + min_effect
    if 1 / most <= low and high <= most:
        return Verdict.NO_DIFFERENCE
    if p is not None and p > SIGNIFICANT:
        return Verdict.CANNOT_TELL
    if low > most:
        return Verdict.SLOWER
    return Verdict.FASTER if high < 1 / most else Verdict.CANNOT_TELL


def runs_needed(interval: tuple[float, float] | None, runs: int, min_effect: float) -> int | None:
    """About how many runs in all would decide, if they go on as these `runs` did; None: no telling, or beyond `MOST_RUNS`, or
    the interval decides already: then nothing but the permutation test is in the way.

    The interval of n runs is Student's t; it has to shrink until it ends where the minimum is. One run's own interval stands
    in for how runs differ, which it may understate.
    """
    if interval is None or interval[0] <= 0 or judge(interval, None, min_effect) is not Verdict.CANNOT_TELL:
        return None
    low, high = (math.log(bound) for bound in interval)
    half = (high - low) / 2
    spread = half / student.NORMAL_95 if runs == 1 else half * math.sqrt(runs) / student.quantile(0.95, runs - 1)
    allowed = abs(abs(high + low) / 2 - math.log1p(min_effect))

    def decides(count: int) -> bool:
        return student.quantile(0.95, count - 1) * spread / math.sqrt(count) <= allowed

    if not decides(MOST_RUNS):
        return None
    few, enough = max(1, runs), MOST_RUNS
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if decides(middle) else (middle, enough)
    return enough
