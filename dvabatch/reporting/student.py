"""Student's t distribution for whole degrees of freedom, in closed form (Abramowitz and Stegun 26.7.3, 26.7.4)."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

NORMAL_95: Final = NormalDist().inv_cdf((1 + 0.95) / 2)  # quantile(0.95, freedom) as the freedom grows without end


def inside(t: float, freedom: int) -> float:
    """P(|T| < t) for t >= 0 and `freedom` >= 1 degrees of freedom."""
    if freedom < 1 or not t >= 0:
        raise ValueError(f"wanted t >= 0 and at least 1 degree of freedom, got t = {t}, freedom = {freedom}")
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    # Both series share one shape: each term is the last one times cos² and a ratio of neighbours.
    term, total, first = 1.0, 0.0, 2 if freedom % 2 else 1
    for k in range(first, freedom, 2):
        total += term
        term *= square * k / (k + 1)
    if freedom % 2 == 0:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total)


def quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| < t) = confidence, for a confidence in (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"wanted a confidence in (0, 1), got {confidence}")
    low, high = 0.0, 1.0
    while inside(high, freedom) < confidence:
        high *= 2
    for _ in range(100):  # to the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle, freedom) < confidence else (low, middle)
    return high


def mean_interval(values: list[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """The interval of the mean of independent values; None for fewer than two."""
    if len(values) < 2:
        return None
    mean, half = math.fsum(values) / len(values), quantile(confidence, len(values) - 1) * _standard_error(values)
    return mean - half, mean + half


def p_value(values: list[float], expected: float) -> float | None:
    """Two-sided p of "the mean is `expected`"; None for fewer than two values."""
    if len(values) < 2:
        return None
    distance, error = abs(math.fsum(values) / len(values) - expected), _standard_error(values)
    if error == 0:
        return 1.0 if distance == 0 else 0.0
    return 1 - inside(distance / error, len(values) - 1)


def _standard_error(values: list[float]) -> float:
    n, mean = len(values), math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
