from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from dvabatch.reporting.measured import IntArray, Queries, Status
from dvabatch.reporting.validity import invalid_reasons, saturated, sender_reasons

MakeQueries = Callable[..., Queries]
MS = 1_000_000


def on_time(n: int = 1000, gap_ns: int = MS, service_ns: int = MS // 2) -> Queries:
    arrival = np.arange(n, dtype=np.int64) * gap_ns
    return Queries(arrival, arrival.copy(), arrival + service_ns, np.zeros(n, np.uint8))


def late(queries: Queries, by_ns: IntArray | int, late_free: bool | None = None) -> Queries:
    free = None if late_free is None else np.full(len(queries), late_free)
    admitted, done = queries.admitted_ns + by_ns, queries.done_ns + by_ns
    return dataclasses.replace(queries, admitted_ns=admitted, done_ns=done, late_free=free)


def reasons_of(queries: Queries, median_response_ms: float | None, error_limit: float) -> list[str]:
    return invalid_reasons(queries, sender_reasons(queries, median_response_ms), error_limit)


def test_an_on_time_run_is_valid() -> None:
    assert reasons_of(on_time(), 0.5, 0.0) == []


def test_a_late_sender_needs_both_a_millisecond_and_a_twentieth_of_the_median() -> None:
    queries = late(on_time(), 2 * MS)
    assert len(reasons_of(queries, 39.0, 0.0)) == 1
    assert reasons_of(queries, 40.0, 0.0) == []  # 2 ms is exactly 5 %
    assert reasons_of(late(on_time(), MS), 0.5, 0.0) == []
    (reason,) = reasons_of(late(on_time(), MS + 1000), 0.5, 0.0)
    assert "p99 lateness 1.001 ms, wanted at most 1.000 ms" in reason


def test_one_late_query_in_a_hundred_is_forgiven_and_two_are_not() -> None:
    by = np.zeros(1000, np.int64)
    by[100:110] = 5 * MS
    assert reasons_of(late(on_time(), by), 0.5, 0.0) == []
    by[110] = 5 * MS
    assert len(reasons_of(late(on_time(), by), 0.5, 0.0)) == 1


def test_lateness_counts_only_where_an_executor_was_free() -> None:
    queue = late(on_time(), np.arange(1000) * MS, late_free=False)  # admitted at half the scheduled rate
    assert reasons_of(queue, 0.5, 0.0) == []
    reasons = reasons_of(dataclasses.replace(queue, late_free=np.ones(1000, np.bool_)), 0.5, 0.0)
    assert len(reasons) == 2
    assert "late" in reasons[0]
    assert "sent 1000 queries in 1.998 s, scheduled in 0.999 s" in reasons[1]


@pytest.mark.parametrize(("stretch", "valid"), [(1.009, True), (1.011, False), (0.991, True), (0.989, False)])
def test_the_rate_may_be_off_by_one_per_cent(stretch: float, valid: bool) -> None:
    queries = on_time()
    admitted = (queries.arrival_ns * stretch).astype(np.int64)
    done = np.maximum(admitted, queries.arrival_ns) + MS
    reasons = reasons_of(dataclasses.replace(queries, admitted_ns=admitted, done_ns=done), 1e6, 0.0)
    assert (reasons == []) == valid


def test_a_span_of_a_few_queries_may_be_off_by_what_one_may_be_late() -> None:
    queries = on_time(10)
    by = np.zeros(10, np.int64)
    by[-1] = MS // 2  # 5 % of the span, but only half a millisecond
    assert reasons_of(late(queries, by), 0.5, 0.0) == []


@pytest.mark.parametrize(("limit", "valid"), [(0.0, False), (0.009, False), (0.01, True)])
def test_errors_have_a_limit(limit: float, valid: bool) -> None:
    queries = on_time()
    queries.status[:10] = Status.FAILED
    reasons = reasons_of(queries, 0.5, limit)
    assert (reasons == []) == valid
    assert valid or "10 of 1000 queries failed" in reasons[0]


def test_a_run_without_an_answer_measured_nothing() -> None:
    queries = on_time(10)
    queries.status[:] = Status.REJECTED
    assert "none of the 10 offered queries completed" in reasons_of(queries, None, 0.0)[0]
    none = np.empty(0, np.int64)
    assert len(reasons_of(Queries(none, none, none, np.empty(0, np.uint8)), None, 0.0)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_stable_queue_is_not_saturated_and_an_overloaded_one_is(make_queries: MakeQueries, seed: int) -> None:
    assert not saturated(make_queries(load=0.9, n=2000, seed=seed), "pull")
    assert saturated(make_queries(load=1.1, n=2000, seed=seed), "pull")


@pytest.mark.parametrize("load", [0.2, 0.7])
def test_filling_large_batches_is_not_saturation(make_queries: MakeQueries, load: float) -> None:
    assert not saturated(make_queries(load=load * 3, n=3000, max_batch=32, alone=0.7), "pull")
    assert saturated(make_queries(load=4.0, n=3000, max_batch=32, alone=0.7), "pull")


def test_a_deep_but_steady_pipeline_is_not_saturated() -> None:
    assert not saturated(on_time(2000, service_ns=60 * MS), "pull")


def test_a_late_sender_saturates_nothing(make_queries: MakeQueries) -> None:
    queries = on_time(2000)
    held_back = late(queries, np.arange(2000) * MS)
    assert saturated(held_back, "pull")
    assert not saturated(held_back, "push")


def test_refusing_for_want_of_room_is_saturation_and_refusing_what_is_too_long_is_not() -> None:
    queries = on_time(1000)
    queries.status[::50] = Status.REJECTED
    assert saturated(queries, "pull")
    length = np.full(1000, 100, np.int32)
    assert saturated(dataclasses.replace(queries, length=length), "pull")
    length[::50] = 200
    assert not saturated(dataclasses.replace(queries, length=length), "pull")


def test_what_is_refused_when_nothing_can_run_any_more_is_no_saturation() -> None:
    queries = on_time(1000)
    queries.status[900:] = Status.REJECTED
    lost_ns = int(queries.done_ns[900:].min())
    assert saturated(queries, "pull")
    assert saturated(queries, "pull", lost_ns + 1 + int(np.ptp(queries.done_ns)))
    assert not saturated(queries, "pull", lost_ns)


@pytest.mark.parametrize("n", [0, 1, 2, 19, 20])
def test_a_handful_of_queries_says_nothing(n: int) -> None:
    assert not saturated(on_time(n), "pull")
    same = np.zeros(n, np.int64)
    assert not saturated(Queries(same, same, same + 5, np.zeros(n, np.uint8)), "pull")
