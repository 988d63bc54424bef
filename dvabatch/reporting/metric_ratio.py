"""A metric of one side over that of the other, over one seed or several.

A ratio is new / old: above 1 the new side is slower. Over one seed the interval comes of the two runs themselves, resampled
with the same blocks of queries; it knows nothing of how runs differ that were made at other times. Over several seeds each
gives one ratio, and the interval is Student's t over their logarithms, which does. (Logarithms, so that swapping the sides
turns every ratio round and changes nothing else.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from . import student
from .bootstrap import RatioEstimate, ratio_of_means
from .measured import IntArray
from .pairing import Pair
from .percentile_ratio import ratio_of_percentiles
from .percentiles import PERCENTILES, percentile_ns

METRICS: Final = ("mean", *PERCENTILES)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric's ratio over all seeds; no interval and p where nothing tells how far it may be off."""

    ratio: float
    interval: tuple[float, float] | None
    p: float | None

    def to_json(self) -> dict[str, Any]:
        ci95 = None if self.interval is None else [rounded(bound) for bound in self.interval]
        return {"ratio": rounded(self.ratio), "ratio_ci95": ci95, "p": rounded(self.p)}


def ratio_over(pairs: Sequence[Pair], both: Sequence[tuple[IntArray, IntArray]], name: str, seed: int) -> Ratio | None:
    """One metric over all pairs, from the answers of both sides where they are known, else from the summaries."""
    if len(both) == 1:
        found = _estimate(*both[0], name, seed)
        return None if found is None else Ratio(found.ratio, (found.low, found.high), found.p)
    each = [_plain(*two, name) for two in both] if both else [_of_summaries(pair, name) for pair in pairs]
    known = [ratio for ratio in each if ratio is not None]
    if len(known) < len(each) or not known:
        return None  # of some seeds only: another quantity
    logs = [math.log(ratio) for ratio in known]
    bounds = student.mean_interval(logs)
    interval = None if bounds is None else (math.exp(bounds[0]), math.exp(bounds[1]))
    return Ratio(math.exp(math.fsum(logs) / len(logs)), interval, student.p_value(logs, 0.0))


def _estimate(mine: IntArray, theirs: IntArray, name: str, seed: int) -> RatioEstimate | None:
    return ratio_of_means(mine, theirs, seed) if name == "mean" else ratio_of_percentiles(mine, theirs, name, seed)


def _plain(mine: IntArray, theirs: IntArray, name: str) -> float | None:
    """The ratio alone: over several seeds its interval comes of the others."""
    over, under = (_value(run, name) for run in (mine, theirs))
    return over / under if over and under else None


def _value(run: IntArray, name: str) -> float | None:
    if name == "mean":
        return float(run.mean(dtype=np.float64)) if len(run) else None
    return percentile_ns(np.sort(run), name) if len(run) else None


def _of_summaries(pair: Pair, name: str) -> float | None:
    over, under = (run["response_ms"].get(name) for run in (pair.new, pair.old))
    usable = all(
        isinstance(value, int | float) and not isinstance(value, bool) and value > 0 for value in (over, under)
    )
    return over / under if usable else None


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
