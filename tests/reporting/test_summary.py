from __future__ import annotations

import dataclasses
import json
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.reporting.measured import Measured, Queries, StageUse, Status
from dvabatch.reporting.summary import latency_numbers, summarise

MS = 1_000_000


def known() -> Queries:
    """Ten queries a ms apart: eight answered after 1..8 ms, one refused, one cancelled."""
    arrival = np.arange(10, dtype=np.int64) * MS
    done = arrival + np.array([1, 2, 3, 4, 5, 6, 7, 8, -9, -9]) * MS
    admitted = arrival.copy()
    done[8:] = admitted[8:] = -1
    status = np.zeros(10, np.uint8)
    status[8:] = [Status.REJECTED, Status.CANCELLED]
    return Queries(arrival, admitted, done, status)


def test_numbers_of_a_run_that_fits_on_a_hand() -> None:
    numbers = latency_numbers(known(), slo_ms=4.0)
    assert numbers["counts"] == {
        "offered": 10,
        "admitted": 8,
        "completed": 8,
        "failed": 0,
        "rejected": 1,
        "cancelled": 1,
    }
    response = numbers["response_ms"]
    assert (response["mean"], response["p50"], response["max"]) == (4.5, 4.0, 8.0)
    assert (response["p90"], response["p99.9"], response["mean_ci95"]) == (None, None, None)
    assert numbers["request_throughput_rps"] == pytest.approx(8 / 0.015, rel=1e-5)  # the last answer comes at 15 ms
    assert numbers["goodput_rps"] == pytest.approx(4 / 0.015, rel=1e-5)
    assert numbers["slo_attainment"] == 0.4  # of all that were offered
    assert numbers["response_cdf_ms"][0] == 1.0
    assert numbers["response_cdf_ms"][50] == 4.0
    assert numbers["response_cdf_ms"][100] == 8.0
    assert len(numbers["response_cdf_ms"]) == 101


def test_without_an_objective_there_is_no_goodput() -> None:
    numbers = latency_numbers(known(), slo_ms=None)
    assert (numbers["goodput_rps"], numbers["slo_ms"], numbers["slo_attainment"]) == (None, None, None)


def test_a_run_without_answers_says_null_and_never_nan(make_measured: Callable[..., Measured]) -> None:
    none = np.empty(0, np.int64)
    empty = Queries(none, none, none, np.empty(0, np.uint8))
    run = summarise(dataclasses.replace(make_measured(), queries=empty, stages=(StageUse(0, {}, 0.0, 0.0),)))
    assert not run["valid"]
    assert run["response_ms"]["mean"] is None
    assert run["response_cdf_ms"] is None
    assert run["slo_met"] is None
    assert run["stages"] == [
        {"index": 0, "launches": 0, "mean_batch": None, "batch_histogram": {}, "padding_waste": None}
    ]
    json.dumps(run, allow_nan=False)


def test_what_is_handed_over_comes_out(make_measured: Callable[..., Measured]) -> None:
    measured = make_measured(load=0.6, n=800, max_batch=8, alone=0.3)
    decisions = np.arange(1000, dtype=np.int64) * 1000
    run = summarise(dataclasses.replace(measured, decision_ns=decisions, bytes_copied=7, role="swept"))
    assert (run["valid"], run["saturated"], run["role"], run["admission"]) == (True, False, "swept", "simulated")
    assert run["overhead"] == {
        "decision_us": {"p50": 499.0, "p99": 989.0},
        "device_busy_fraction": 0.5,
        "bytes_copied": 7,
    }
    assert run["operations"].keys() == {"new", "stretch", "merge", "split", "hold"}
    stage = run["stages"][1]
    assert stage["launches"] == run["operations"]["new"]
    assert stage["mean_batch"] == pytest.approx(800 / stage["launches"], rel=1e-5)
    assert stage["padding_waste"] == pytest.approx(1 - 800 / (8 * stage["launches"]), rel=1e-5)
    assert run["slo_met"] is True
    low, high = run["response_ms"]["mean_ci95"]
    assert low < run["response_ms"]["mean"] < high


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 3))))
def test_every_offered_query_is_accounted_for(rows: list[tuple[int, int, int, int]]) -> None:
    arrival = np.array([row[0] for row in rows], np.int64)
    admitted = arrival + np.array([row[1] for row in rows], np.int64)
    done = admitted + np.array([row[2] for row in rows], np.int64)
    status = np.array([row[3] for row in rows], np.uint8)
    numbers = latency_numbers(Queries(arrival, admitted, done, status), slo_ms=1.0)
    counts = numbers["counts"]
    assert counts["offered"] == sum(counts[name] for name in ("completed", "rejected", "failed", "cancelled"))
    if counts["completed"]:
        response = numbers["response_ms"]
        exact = [row[1] + row[2] for row in rows if row[3] == Status.COMPLETED]
        assert response["max"] == round(max(exact) / 1e6, 6)
        assert response["mean"] == pytest.approx(sum(exact) / len(exact) / 1e6, abs=1e-6)
        assert numbers["response_cdf_ms"] == sorted(numbers["response_cdf_ms"])
        assert (numbers["goodput_rps"] or 0) <= (numbers["request_throughput_rps"] or 0)


def test_the_input_is_left_as_it_was(make_measured: Callable[..., Measured]) -> None:
    measured = make_measured()
    before = [measured.queries.arrival_ns.copy(), measured.queries.admitted_ns.copy(), measured.queries.done_ns.copy()]
    summarise(measured)
    after = [measured.queries.arrival_ns, measured.queries.admitted_ns, measured.queries.done_ns]
    assert all((one == other).all() for one, other in zip(before, after, strict=True))


def test_a_million_queries_need_little_more_than_themselves(make_measured: Callable[..., Measured]) -> None:
    n = 1_000_000
    arrival = np.arange(n, dtype=np.int64) * MS
    queries = Queries(arrival, arrival + 5, arrival + 700_000, np.zeros(n, np.uint8), np.ones(n, np.bool_))
    measured = make_measured(n=10, queries=queries)
    tracemalloc.start()
    run = summarise(measured)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert run["response_ms"]["p99.9"] == 0.7
    assert peak < 25 << 20
