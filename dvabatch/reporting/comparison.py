"""Each policy against each baseline under the same schedules: ratios of means, with an interval and a p.

A ratio is policy / baseline: below 1 the policy answered sooner. Only runs of the same schedule (its hash) are held
against each other, query by query.

* One seed: both runs are resampled with the same blocks of queries (bootstrap.ratio_of_means).
* Several seeds: each gives one ratio; the estimate is their mean and the interval Student's t over the seeds (cut at 0),
  which sees what one run cannot: that another hour brings another load. A claim asks for at least five.
* A policy that answers fewer of the queries than the baseline (verdict.answers_fewer) has no ratio: what it refused or failed
  is not in it.

Of several swept baselines the one with the lowest mean response at that load is taken, of those that answer as many queries as
the others: the harder one to beat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from . import student
from .bootstrap import ratio_of_means
from .comparison_answers import as_answered, compared_load
from .ends import ends_of
from .labels import load_id, point_key, policy_id, policy_labels
from .measured import IntArray
from .series import Run
from .verdict import answers_fewer

SEEDS_ASKED: Final = 5
_BASELINES: Final = ("untuned", "swept")


@dataclass(frozen=True, slots=True)
class _Pair:
    run: Run
    baseline: Run


def run_key(run: Run) -> str:
    """The key of a summary: `labels.point_key` of its policy, load and role."""
    return point_key(run["policy"], run["load"], run["role"])


def compare(runs: Sequence[Run], responses: Mapping[str, IntArray] | None = None) -> list[dict[str, Any]]:
    """report["comparison"]: one row for each load, policy and baseline role that share a schedule.

    `responses` maps `run_key(run)` to int64[n], the response of each offered query in ns, -1 where it did not
    complete (Queries.response_by_id_ns). Where both runs have theirs, the ratio is over the queries that both
    completed; else it is the ratio of the summaries' means, and one seed then has no interval.
    """
    responses = responses or {}
    labels = policy_labels([run["policy"] for run in runs])
    rows = []
    for at_load in _grouped(runs, lambda run: load_id(run["load"])):
        baselines = {role: _hardest([run for run in at_load if run["role"] == role]) for role in _BASELINES}
        policies = [run for run in at_load if run["role"] == "policy"]
        for of_policy in _grouped(policies, lambda run: policy_id(run["policy"])):
            for role, baseline in baselines.items():
                by_schedule = {run["load"]["schedule_sha256"]: run for run in baseline}
                pairs = [
                    _Pair(run, by_schedule[run["load"]["schedule_sha256"]])
                    for run in of_policy
                    if run["load"]["schedule_sha256"] in by_schedule
                ]
                if pairs:
                    row = _row(pairs, responses, len(of_policy))
                    names = {
                        "policy": labels[policy_id(of_policy[0]["policy"])],
                        "baseline": labels[policy_id(baseline[0]["policy"])],
                        "baseline_role": role,
                        "load": compared_load(of_policy[0]),
                    }
                    rows.append(names | row)
    return rows


def _row(pairs: Sequence[_Pair], responses: Mapping[str, IntArray], measured: int) -> dict[str, Any]:
    notes: list[str] = []
    ratios: list[float] = []
    interval: tuple[float, float] | None = None
    p: float | None = None
    method: str | None = None
    for pair in pairs:
        mine, theirs = responses.get(run_key(pair.run)), responses.get(run_key(pair.baseline))
        ratio = _of_means(pair, "response_ms", "mean")
        if mine is not None and theirs is not None:
            if len(mine) != len(theirs):
                raise ValueError(
                    f"{run_key(pair.run)} has {len(mine)} responses and {run_key(pair.baseline)} {len(theirs)}, wanted"
                    " one per offered query of the schedule they share: hand over response_by_id_ns()"
                )
            both = (mine >= 0) & (theirs >= 0)
            lost = len(both) - int(both.sum())
            if lost:
                notes.append(f"left out: {lost} queries of seed {pair.run['load']['seed']} that not both completed")
            estimate = ratio_of_means(mine[both], theirs[both])
            if estimate is not None:
                ratio = estimate.ratio
                if len(pairs) == 1:
                    interval, p = (estimate.low, estimate.high), estimate.p
                    method = "paired block bootstrap"
        if ratio is not None:
            ratios.append(ratio)
    if len(pairs) > 1 and len(ratios) > 1:
        interval, p = student.mean_interval(ratios), student.p_value(ratios, 1.0)
        method = "Student's t over seeds"
    if len(pairs) < SEEDS_ASKED:
        notes.append(f"{len(pairs)} of the {SEEDS_ASKED} seeds that a claim asks for")
    if len(pairs) < measured:
        notes.append(f"left out: {measured - len(pairs)} of {measured} seeds, whose schedule the baseline did not meet")
    row = {
        "seeds": len(pairs),
        "ratio": _rounded(_mean(ratios)),
        "ratio_ci95": None if interval is None else [_rounded(max(0.0, bound)) for bound in interval],
        "p": _rounded(p),
        "method": method,
        "mean_ms": _mean_ms([pair.run for pair in pairs]),
        "baseline_mean_ms": _mean_ms([pair.baseline for pair in pairs]),
        "p99_ratio": _mean_ratio(pairs, "response_ms", "p99"),
        "throughput_ratio": _mean_ratio(pairs, "request_throughput_rps"),
        "goodput_ratio": _mean_ratio(pairs, "goodput_rps"),
        "valid": all(pair.run["valid"] and pair.baseline["valid"] for pair in pairs),
        "saturated": any(pair.run["saturated"] for pair in pairs),
        "baseline_saturated": any(pair.baseline["saturated"] for pair in pairs),
        "notes": notes,
    }
    return as_answered(row, [pair.run for pair in pairs], [pair.baseline for pair in pairs])


def _hardest(runs: Sequence[Run]) -> list[Run]:
    """The runs of the baseline policy to beat: valid before invalid, most seeds, none that answers fewer of the queries than
    another, then the lowest mean response."""
    groups = _grouped(runs, lambda run: policy_id(run["policy"]))
    most = max((ends_of(group).answered for group in groups), default=1.0)

    def order(group: list[Run]) -> tuple[bool, int, bool, float]:
        mean = _mean_ms(group)
        fewer = answers_fewer(ends_of(group).answered, most)
        return not all(run["valid"] for run in group), -len(group), fewer, math.inf if mean is None else mean

    return min(groups, key=order, default=[])


def _grouped(runs: Sequence[Run], key: Any) -> list[list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return list(groups.values())


def _value(run: Run, path: tuple[str, ...]) -> float | None:
    value: Any = run
    for key in path:
        value = value[key]
    return value if value is None else float(value)


def _of_means(pair: _Pair, *path: str) -> float | None:
    over, under = _value(pair.run, path), _value(pair.baseline, path)
    return None if over is None or not under else over / under


def _mean_ratio(pairs: Sequence[_Pair], *path: str) -> float | None:
    ratios = [_of_means(pair, *path) for pair in pairs]
    known = [ratio for ratio in ratios if ratio is not None]
    return _rounded(_mean(known)) if len(known) == len(ratios) else None  # of some seeds only: another quantity


def _mean_ms(runs: Sequence[Run]) -> float | None:
    means = [_value(run, ("response_ms", "mean")) for run in runs]
    known = [mean for mean in means if mean is not None]
    mean = _mean(known)
    return None if mean is None else round(mean, 6)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
