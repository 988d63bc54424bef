"""Who answers fewer of the queries has no response times to compare."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from dvabatch.reporting.comparison import compare, run_key
from dvabatch.reporting.comparison_answers import comparison_of, fewer_answers
from dvabatch.reporting.measured import IntArray, Measured, Queries, Role, Status
from dvabatch.reporting.summary import summarise

MakeMeasured = Callable[..., Measured]
Refused = tuple[Role, str, int]
OF_RESPONSES = ("ratio", "ratio_ci95", "p", "method", "p99_ratio")


def measure(make: MakeMeasured, *whos: Refused, seeds: int = 1) -> tuple[list[dict[str, Any]], dict[str, IntArray]]:
    """Runs of 600 queries for each (role, name, queries refused); who refuses some answers the others in half the time."""
    runs, responses = [], {}
    for role, name, refused in whos:
        for seed in range(1, seeds + 1):
            measured = make(0.6, 600, seed, 16, 0.5, role, name=name)
            if refused:
                old = measured.queries
                done, status = old.done_ns.copy(), old.status.copy()
                done -= (done - old.arrival_ns) // 2
                status[:refused] = Status.REJECTED
                queries = Queries(old.arrival_ns, old.arrival_ns, done, status, old.late_free)
                measured = make(0.6, 600, seed, 16, 0.5, role, queries, name=name)
            runs.append(summarise(measured))
            responses[run_key(runs[-1])] = measured.queries.response_by_id_ns()
    return runs, responses


@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("raw", [True, False])
def test_a_policy_that_refuses_has_no_ratio_and_the_row_says_why(
    make_measured: MakeMeasured, seeds: int, raw: bool
) -> None:
    runs, responses = measure(make_measured, ("untuned", "base", 0), ("policy", "mine", 60), seeds=seeds)
    (row,) = compare(runs, responses if raw else None)
    assert {name: row[name] for name in OF_RESPONSES} == dict.fromkeys(OF_RESPONSES)
    assert (row["answered"], row["baseline_answered"]) == (0.9, 1.0)
    assert row["notes"][0] == (
        "the policy answered 90.0 % of the queries, the baseline 100 %: no ratio of the rest counts"
    )
    assert row["mean_ms"] < row["baseline_mean_ms"]  # what there is stays
    assert row["throughput_ratio"] < 1
    assert fewer_answers(row)


def test_a_handful_of_queries_is_of_no_interest(make_measured: MakeMeasured) -> None:
    (row,) = compare(*measure(make_measured, ("untuned", "base", 0), ("policy", "mine", 3)))
    assert row["ratio"] == pytest.approx(0.5, abs=0.01)
    assert not fewer_answers(row)


def test_a_baseline_that_refuses_keeps_its_ratio_and_is_told(make_measured: MakeMeasured) -> None:
    (row,) = compare(*measure(make_measured, ("untuned", "base", 60), ("policy", "mine", 0)))
    assert row["ratio"] == pytest.approx(2, abs=0.02)
    assert row["notes"][0].endswith("the ratio knows nothing of those that the baseline did not answer")


def test_a_swept_baseline_that_refuses_is_not_the_hardest(make_measured: MakeMeasured) -> None:
    whos: tuple[Refused, ...] = (("swept", "refuses", 60), ("swept", "answers", 0), ("policy", "mine", 0))
    (row,) = compare(*measure(make_measured, *whos))
    assert (row["baseline"], row["baseline_answered"]) == ("answers", 1.0)


def test_rows_from_before_they_had_answers_are_judged_by_the_runs(make_measured: MakeMeasured) -> None:
    whos: tuple[Refused, ...] = (("untuned", "base", 0), ("policy", "mine", 60), ("policy", "fair", 0))
    runs, responses = measure(make_measured, *whos, seeds=2)
    rows = compare(runs, responses)
    old = copy.deepcopy(rows)
    for row in old:
        del row["answered"], row["baseline_answered"]
    old[0] |= {"ratio": 0.5, "ratio_ci95": [0.4, 0.6], "p": 0.001, "notes": rows[0]["notes"][1:]}
    old[0] |= {"method": "Student's t over seeds", "p99_ratio": 0.5}
    assert comparison_of({"runs": runs, "comparison": old}) == rows
    assert comparison_of({"runs": runs, "comparison": rows}) == rows
    assert comparison_of({"runs": runs}) == []
