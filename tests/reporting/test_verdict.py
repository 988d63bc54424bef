from __future__ import annotations

import math

import pytest

from dvabatch.reporting import student
from dvabatch.reporting.verdict import MOST_RUNS, Verdict, answers_fewer, judge, runs_needed


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.995, 1.005, Verdict.NO_DIFFERENCE),
        (1 / 1.01, 1.01, Verdict.NO_DIFFERENCE),
        (1.001, 1.009, Verdict.NO_DIFFERENCE),  # certain, and of no interest
        (1.011, 1.05, Verdict.SLOWER),
        (0.95, 0.989, Verdict.FASTER),
        (1.005, 1.05, Verdict.CANNOT_TELL),  # slower, but by how much?
        (0.9, 1.1, Verdict.CANNOT_TELL),
        (0.95, 1.0, Verdict.CANNOT_TELL),
    ],
)
def test_where_the_interval_lies(low: float, high: float, verdict: Verdict) -> None:
    assert judge((low, high), 0.001, 0.01) is verdict
    mirrored = {Verdict.SLOWER: Verdict.FASTER, Verdict.FASTER: Verdict.SLOWER}.get(verdict, verdict)
    assert judge((1 / high, 1 / low), 0.001, 0.01) is mirrored


def test_a_difference_that_the_permutation_test_does_not_see() -> None:
    assert judge((1.02, 1.05), 0.2, 0.01) is Verdict.CANNOT_TELL
    assert judge((1.02, 1.05), None, 0.01) is Verdict.SLOWER
    assert judge((0.999, 1.001), 0.9, 0.01) is Verdict.NO_DIFFERENCE


def test_nothing_known_is_nothing_told() -> None:
    assert judge(None, 0.001, 0.01) is Verdict.CANNOT_TELL
    assert runs_needed(None, 5, 0.01) is None
    assert runs_needed((0.0, 1.0), 1, 0.01) is None


@pytest.mark.parametrize("interval", [(1.02, 1.05), (0.9, 0.95), (0.995, 1.005)])
@pytest.mark.parametrize("runs", [1, 5])
def test_an_interval_that_decides_wants_no_more_runs(interval: tuple[float, float], runs: int) -> None:
    assert runs_needed(interval, runs, 0.01) is None


def test_who_answers_fewer() -> None:
    assert answers_fewer(0.98, 1.0)
    assert not answers_fewer(0.995, 1.0)
    assert not answers_fewer(1.0, 0.5)
    assert not answers_fewer(0.98, 1.0, 0.05)


@pytest.mark.parametrize("runs", [2, 5, 20])
def test_that_many_runs_would_decide_and_one_fewer_would_not(runs: int) -> None:
    centre, half, limit = 0.002, 0.02, math.log1p(0.01)
    needed = runs_needed((math.exp(centre - half), math.exp(centre + half)), runs, 0.01)
    assert needed is not None
    spread = half * math.sqrt(runs) / student.quantile(0.95, runs - 1)

    def reach(count: int) -> float:
        return student.quantile(0.95, count - 1) * spread / math.sqrt(count)

    assert needed > runs
    assert reach(needed) <= limit - centre < reach(needed - 1)


def test_an_effect_on_the_minimum_itself_is_never_decided() -> None:
    limit = math.log1p(0.01)
    assert runs_needed((math.exp(limit - 0.05), math.exp(limit + 0.05)), 5, 0.01) is None


def test_one_run_stands_in_for_how_runs_differ() -> None:
    needed = runs_needed((0.985, 1.015), 1, 0.01)
    assert needed is not None
    assert 2 < needed < MOST_RUNS
