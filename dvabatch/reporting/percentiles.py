"""Percentiles of a finite sample, and the rule that says when a sample supports one.

The percentile p of n answers is the ⌈p·n⌉-th smallest (nearest rank, no interpolation): the smallest latency that
was really seen such that at least the share p of all answers took no longer. It is always one of the answers, and
it is exact in integers.

It is printed only if order statistics can bound it from both sides with 95 % confidence, equal tails. Whatever the
distribution, the true quantile lies above all n answers with probability p^n and below all with (1 - p)^n; when
either exceeds 2.5 %, even the widest interval that the sample offers, [smallest, largest], is not a 95 % one.
(David and Nagaraja, Order Statistics, section 7.1.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Final

from .measured import IntArray

CONFIDENCE: Final = Fraction(95, 100)
# Exact shares: 0.95 * 20 is 19 here, and not 19.000000000000004 on its way to a ceiling.
PERCENTILES: Final[Mapping[str, Fraction]] = {
    "p50": Fraction(50, 100),
    "p90": Fraction(90, 100),
    "p95": Fraction(95, 100),
    "p99": Fraction(99, 100),
    "p99.9": Fraction(999, 1000),
}


@cache
def answers_needed(share: Fraction, confidence: Fraction = CONFIDENCE) -> int:
    """The smallest sample whose order statistics bound the quantile `share` in (0, 1) from both sides."""
    if not 0 < share < 1:
        raise ValueError(f"a quantile's share is in (0, 1), got {share}")
    tail = (1 - confidence) / 2
    heavier = max(share, 1 - share)
    n = max(1, math.floor(math.log(tail) / math.log(heavier)) - 1)  # just below: the exact test below decides
    while heavier**n > tail:
        n += 1
    return n


def rank(share: Fraction, n: int) -> int:
    """The 1-based rank of the quantile `share` among n sorted answers."""
    return max(1, math.ceil(share * n))


def supported(name: str, n: int) -> bool:
    """Whether n answers support the percentile called `name` ("p99")."""
    return n >= answers_needed(PERCENTILES[name])


def percentile_ns(sorted_ns: IntArray, name: str) -> int | None:
    """The percentile of ascending values, in their unit; None where the sample does not support it."""
    n = len(sorted_ns)
    return int(sorted_ns[rank(PERCENTILES[name], n) - 1]) if supported(name, n) else None


def percentile_text(value_ms: float | None, name: str) -> str:
    """A percentile for people: the value, or how many answers it would have needed."""
    return f"n/a (needs {answers_needed(PERCENTILES[name]):,})" if value_ms is None else milliseconds_text(value_ms)


def milliseconds_text(value_ms: float) -> str:
    """Milliseconds at four significant digits, never in scientific notation: 0.01234, 1.234, 12.34, 1,234."""
    if value_ms == 0:
        return "0"
    decimals = max(0, 3 - math.floor(math.log10(abs(value_ms))))
    return f"{value_ms:,.{decimals}f}"
