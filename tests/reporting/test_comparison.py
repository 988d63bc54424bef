from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dvabatch.reporting.comparison import compare, run_key
from dvabatch.reporting.measured import IntArray, Measured, Role
from dvabatch.reporting.summary import summarise

MakeMeasured = Callable[..., Measured]


def measure(
    make: MakeMeasured, seeds: range, ways: dict[str, tuple[Role, int]], load: float = 0.6
) -> tuple[list[dict[str, Any]], dict[str, IntArray]]:
    runs, responses = [], {}
    for name, (role, max_batch) in ways.items():
        for seed in seeds:
            measured = make(load, 600, seed, max_batch, 0.5, role, name=name)
            runs.append(summarise(measured))
            responses[run_key(runs[-1])] = measured.queries.response_by_id_ns()
    return runs, responses


WAYS: dict[str, tuple[Role, int]] = {"base": ("untuned", 1), "better": ("policy", 16)}


def test_one_seed_gives_a_paired_interval(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 2), WAYS)
    (row,) = compare(runs, responses)
    assert (row["policy"], row["baseline"], row["baseline_role"]) == ("better", "base", "untuned")
    assert row["method"] == "paired block bootstrap"
    assert row["ratio"] == pytest.approx(runs[1]["response_ms"]["mean"] / runs[0]["response_ms"]["mean"], rel=1e-5)
    low, high = row["ratio_ci95"]
    assert low < row["ratio"] < high
    assert row["notes"] == ["1 of the 5 seeds that a claim asks for"]
    assert (row["mean_ms"], row["baseline_mean_ms"]) == (runs[1]["response_ms"]["mean"], runs[0]["response_ms"]["mean"])


def test_several_seeds_give_an_interval_over_seeds(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 6), WAYS)
    (row,) = compare(runs, responses)
    ratios = [runs[5 + seed]["response_ms"]["mean"] / runs[seed]["response_ms"]["mean"] for seed in range(5)]
    mean = sum(ratios) / 5
    error = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / 4 / 5)
    assert row["seeds"] == 5
    assert row["method"] == "Student's t over seeds"
    assert row["ratio"] == pytest.approx(mean, rel=1e-5)
    assert row["ratio_ci95"] == pytest.approx([mean - 2.77645 * error, mean + 2.77645 * error], rel=1e-4)
    assert row["notes"] == []


def test_summaries_alone_give_the_ratio_without_an_interval(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 2), WAYS)
    (row,) = compare(runs)
    assert row["ratio"] == pytest.approx(compare(runs, responses)[0]["ratio"], rel=1e-5)
    assert (row["ratio_ci95"], row["p"], row["method"]) == (None, None, None)
    runs, _ = measure(make_measured, range(1, 4), WAYS)
    assert compare(runs)[0]["ratio_ci95"] is not None  # over seeds it needs no responses


def test_only_runs_of_one_schedule_meet(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 4), WAYS)
    (row,) = compare(runs[1:], responses)  # the baseline's first seed is missing
    assert row["seeds"] == 2
    assert "left out: 1 of 3 seeds, whose schedule the baseline did not meet" in row["notes"]
    elsewhere, _ = measure(make_measured, range(7, 8), {"better": ("policy", 16)})
    assert compare(runs[:3] + elsewhere) == []


def test_the_hardest_swept_baseline_is_taken_at_each_load(make_measured: MakeMeasured) -> None:
    ways: dict[str, tuple[Role, int]] = {
        "untuned": ("untuned", 2),
        "weak": ("swept", 1),
        "strong": ("swept", 32),
        "mine": ("policy", 8),
    }
    runs, responses = measure(make_measured, range(1, 3), ways, load=0.9)
    more, others = measure(make_measured, range(1, 3), ways, load=0.3)
    rows = compare(runs + more, responses | others)
    assert [(row["baseline_role"], row["load"]["utilization"]) for row in rows] == [
        ("untuned", 0.9),
        ("swept", 0.9),
        ("untuned", 0.3),
        ("swept", 0.3),
    ]
    assert rows[1]["baseline"] == "strong"


def test_queries_that_not_both_completed_are_left_out_and_told(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 2), WAYS)
    mine, theirs = (responses[run_key(run)] for run in (runs[1], runs[0]))
    mine[:100] = -1
    (row,) = compare(runs, responses)
    assert row["ratio"] == pytest.approx(mine[100:].mean() / theirs[100:].mean(), rel=1e-5)
    assert "left out: 100 queries of seed 1 that not both completed" in row["notes"]


def test_responses_of_different_runs_are_refused(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 2), WAYS)
    responses[run_key(runs[0])] = np.ones(3, np.int64)
    with pytest.raises(ValueError, match=r"600 responses and .* 3, wanted"):
        compare(runs, responses)


def test_an_invalid_run_spoils_its_row(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 2), WAYS)
    runs[0]["valid"] = False
    assert not compare(runs, responses)[0]["valid"]


def test_runs_without_answers_have_no_ratio(make_measured: MakeMeasured) -> None:
    runs, responses = measure(make_measured, range(1, 2), WAYS)
    for name in ("mean", "p99"):
        runs[1]["response_ms"][name] = None
    responses[run_key(runs[1])][:] = -1
    (row,) = compare(runs, responses)
    assert (row["ratio"], row["ratio_ci95"], row["p"], row["mean_ms"]) == (None, None, None, None)
