"""One policy against one at one load: ratios with intervals, a permutation test, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .comparison import SEEDS_ASKED
from .ends import ends_of
from .labels import load_label
from .measured import IntArray
from .metric_ratio import METRICS, Ratio, ratio_over, rounded
from .pairing import Match, Pair
from .percentile_ratio import above_percentile
from .permutation import sign_flip_p
from .series import Run
from .verdict import MIN_EFFECT, MOST_RUNS, SIGNIFICANT, Verdict, answers_fewer, judge, runs_needed

Responses = Callable[[Run], IntArray | None]  # int64[n] in ns, -1 where a query did not complete; None: not known


@dataclass(frozen=True, slots=True)
class Asked:
    """What the verdict goes by: the metric of `METRICS`, and the smallest effect of interest as a share."""

    metric: str = "mean"
    min_effect: float = MIN_EFFECT
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"got the metric {self.metric!r}, wanted one of {', '.join(METRICS)}")
        if not 0 < self.min_effect < 1:
            raise ValueError(f"got the minimum effect {self.min_effect}, wanted a share in (0, 1), for example 0.01")


@dataclass(frozen=True, slots=True)
class Contrast:
    """One row. `flips_p` is the permutation test's; `answered` the share of the offered queries that (old, new) answered."""

    match: Match
    ratios: Mapping[str, Ratio]
    flips_p: float | None
    method: str | None
    answered: tuple[float, float]
    verdict: Verdict
    runs_needed: int | None
    asked: Asked
    notes: tuple[str, ...]

    @property
    def headline(self) -> Ratio | None:
        """The ratio that the verdict goes by."""
        return self.ratios.get(self.asked.metric)

    def slower_by(self, share: float) -> bool:
        """Whether it is slower for certain (interval and permutation test), and by at least `share` as measured."""
        if self.verdict is Verdict.INVALID:
            return False
        if self.verdict is Verdict.FEWER_ANSWERS:
            return True
        found = self.headline
        if found is None or found.interval is None or (self.flips_p is not None and self.flips_p > SIGNIFICANT):
            return False
        return found.interval[0] > 1 and found.ratio >= 1 + share

    def may_be_slower_by(self, share: float) -> bool:
        """Whether nothing rules out that it is slower by `share`."""
        found = self.headline
        return found is None or found.interval is None or found.interval[1] >= 1 + share

    def to_json(self) -> dict[str, Any]:
        match = self.match
        return {
            "policy": match.policy,
            "against": match.against,
            "load": {key: match.load.get(key) for key in ("process", "request_rate_rps", "utilization")},
            "runs": len(match.pairs),
            "verdict": self.verdict.value,
            "runs_needed": self.runs_needed,
            "ratios": {name: ratio.to_json() for name, ratio in self.ratios.items()},
            "permutation_p": rounded(self.flips_p),
            "method": self.method,
            "answered": [rounded(share) for share in self.answered],
            "saturated": [any(run["saturated"] for run in side) for side in _sides(match.pairs)],
            "notes": list(self.notes),
        }


def contrast(match: Match, old: Responses, new: Responses, asked: Asked) -> Contrast:
    """The row of a match. Percentiles that the samples do not support are left out."""
    both: list[tuple[IntArray, IntArray]] = []
    notes = list(match.notes)
    for pair in match.pairs:
        mine, theirs = new(pair.new), old(pair.old)
        if mine is None or theirs is None:
            continue
        if len(mine) != len(theirs):
            raise ValueError(f"got {len(mine)} responses against {len(theirs)} of one schedule: one per offered query")
        kept = (mine >= 0) & (theirs >= 0)
        if not kept.all():
            lost = np.count_nonzero(~kept)
            notes.append(f"left out: {lost} of {len(kept)} queries of seed {_seed(pair)} that not both answered")
        both.append((mine[kept], theirs[kept]))
    count = len(match.pairs)
    if len(both) < count:
        notes.append(f"{count - len(both)} of {count} pairs lack raw records: all are taken from the summaries")
        both = []
    ratios = {name: ratio for name in METRICS if (ratio := ratio_over(match.pairs, both, name, asked.seed)) is not None}
    flips_p = sign_flip_p(_tested(both, asked.metric), asked.seed) if both else None
    if count < SEEDS_ASKED:
        notes.append(f"{count} of the {SEEDS_ASKED} seeds that a claim asks for")
    old_share, new_share = (ends_of(side).answered for side in _sides(match.pairs))
    headline = ratios.get(asked.metric)
    if headline is None:
        notes.append(f"the sample does not support {asked.metric}")
    interval = None if headline is None else headline.interval
    verdict = judge(interval, flips_p, asked.min_effect)
    unsound = [run for side in _sides(match.pairs) for run in side if not run["valid"]]
    if unsound:
        notes += dict.fromkeys(f"INVALID: {reason}" for run in unsound for reason in run["invalid_reasons"])
        verdict = Verdict.INVALID
    elif answers_fewer(new_share, old_share, asked.min_effect):
        verdict = Verdict.FEWER_ANSWERS
    if answers_fewer(old_share, new_share, asked.min_effect):
        notes.append("the new side answered queries that the old one did not: their time is not in the ratios")
    needed = runs_needed(interval, count, asked.min_effect) if verdict is Verdict.CANNOT_TELL else None
    method = None if interval is None else "paired block bootstrap" if count == 1 else "Student's t over seeds"
    answered = old_share, new_share
    return Contrast(match, ratios, flips_p, method, answered, verdict, needed, asked, tuple(notes))


def in_words(row: Contrast) -> str:
    """A row's verdict as a sentence."""
    name = f"{row.match.policy} at {load_label(row.match.load)}"
    found = row.headline
    if row.verdict is Verdict.INVALID:
        return f"{name}: a run is invalid, so that nothing can be said"
    if row.verdict is Verdict.FEWER_ANSWERS:
        return f"{name}: answers {row.answered[1]:.1%} of the queries, {row.answered[0]:.1%} before"
    if found is None or found.interval is None:
        return f"{name}: cannot tell: nothing says how far the ratio may be off"
    least, most = (f"{100 * (bound - 1):+.1f}" for bound in found.interval)
    measured = f"{row.asked.metric} {100 * (found.ratio - 1):+.1f} % ({least} .. {most} %)"
    least_effect = f"{100 * row.asked.min_effect:g} %"
    match row.verdict:
        case Verdict.NO_DIFFERENCE:
            return f"{name}: no difference of {least_effect} or more: {measured}"
        case Verdict.CANNOT_TELL:
            return f"{name}: cannot tell a difference of {least_effect}: {measured}; {_wanting(row)}"
        case _:
            return f"{name}: {row.verdict.value}: {measured}"


def _wanting(row: Contrast) -> str:
    """What keeps a row with an interval from a verdict."""
    interval = None if row.headline is None else row.headline.interval
    if row.flips_p is not None and judge(interval, None, row.asked.min_effect) is not Verdict.CANNOT_TELL:
        return f"the permutation test does not see it (p {row.flips_p:.2g})"
    if row.runs_needed is None:
        return f"more than {MOST_RUNS:,} runs would"
    more = row.runs_needed - len(row.match.pairs)
    return f"about {more} more run{'s' if more > 1 else ''} would"


def _tested(both: Sequence[tuple[IntArray, IntArray]], metric: str) -> list[tuple[IntArray, IntArray]]:
    """What the permutation test looks at: responses for the mean, and for a percentile which of them lie above it."""
    return list(both) if metric == "mean" else [above_percentile(*two, metric) for two in both if len(two[0])]


def _sides(pairs: Sequence[Pair]) -> tuple[list[Run], list[Run]]:
    return [pair.old for pair in pairs], [pair.new for pair in pairs]


def _seed(pair: Pair) -> Any:
    return pair.new["load"].get("seed")
