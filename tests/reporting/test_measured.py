from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dvabatch.reporting.measured import Measured, Queries, StageUse, Status


def queries(n: int = 3, **other: Any) -> Queries:
    at = np.arange(n, dtype=np.int64)
    arrays: dict[str, Any] = {
        "arrival_ns": at,
        "admitted_ns": at + 1,
        "done_ns": at + 3,
        "status": np.zeros(n, np.uint8),
    }
    return Queries(**(arrays | other))


def test_times_of_those_that_completed() -> None:
    some = queries(admitted_ns=np.array([0, -1, 7]), done_ns=np.array([5, -1, 9]), status=np.array([0, 2, 0], np.uint8))
    assert some.response_ns().tolist() == [5, 7]
    assert some.service_ns().tolist() == [5, 2]
    assert some.lateness_ns().tolist() == [0, 5]
    assert some.response_by_id_ns().tolist() == [5, -1, 7]
    assert (len(some), some.count(Status.COMPLETED), some.count(Status.REJECTED)) == (3, 2, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"done_ns": np.zeros(2, np.int64)}, r"done_ns is int64\[2\], wanted int64\[3\]"),
        ({"done_ns": np.zeros(3)}, r"done_ns is float64\[3\]"),
        ({"status": np.full(3, 4, np.uint8)}, "status has 4, wanted 0..3"),
        ({"length": np.zeros(3, np.int64)}, "length is int64"),
        ({"late_free": np.zeros(3, np.uint8)}, "late_free is uint8"),
        ({"arrival_ns": np.array([-1, 0, 0])}, "negative"),
        ({"done_ns": np.array([3, -1, 5])}, "query 1 is COMPLETED"),
        ({"admitted_ns": np.array([1, 2, 9])}, "query 2 is COMPLETED"),
    ],
)
def test_queries_are_checked_at_birth(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        queries(**wrong)


@pytest.mark.parametrize(
    ("histogram", "useful", "computed", "message"),
    [({0: 1}, 1, 1, "rows >= 1"), ({1: 0}, 1, 1, "launches >= 1"), ({1: 1}, 2, 1, "useful"), ({}, -1, 1, "useful")],
)
def test_stages_are_checked_at_birth(histogram: dict[int, int], useful: float, computed: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StageUse(0, histogram, useful, computed)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": {}}, "scheduler_type"),
        ({"load": {"seed": 1}}, "duration_s"),
        ({"admission": "shove"}, "shove"),
        ({"role": "winner"}, "winner"),
        ({"slo_ms": 0.0}, "slo_ms is 0.0"),
        ({"slo_quantile": 99.0}, "slo_quantile is 99.0"),
        ({"error_limit": -0.1}, "error_limit"),
        ({"device_busy_fraction": float("nan")}, "device_busy_fraction"),
    ],
)
def test_a_run_is_checked_at_birth(make_measured: Callable[..., Measured], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make_measured(), **wrong)
