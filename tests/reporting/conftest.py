"""A small batch queue to report on: runs with a known cause, made in milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from dvabatch.reporting.comparison import compare, run_key
from dvabatch.reporting.measured import IntArray, Measured, Queries, Role, StageUse
from dvabatch.reporting.report import assemble
from dvabatch.reporting.summary import summarise

SERVICE_NS = 1_000_000

MakeQueries = Callable[..., Queries]
MakeMeasured = Callable[..., Measured]


def arrivals_ns(load: float, n: int, seed: int) -> IntArray:
    """Poisson arrivals at `load` queries a service time."""
    gaps = np.random.Generator(np.random.PCG64(seed)).exponential(SERVICE_NS / load, n)
    return np.cumsum(gaps).astype(np.int64)


def serve(arrival: IntArray, max_batch: int, alone: float) -> tuple[IntArray, IntArray, Counter[int]]:
    """One server, batches of what waits; a batch of b takes alone + (1 - alone) * b service times."""
    n = len(arrival)
    entered, done, histogram = np.empty(n, np.int64), np.empty(n, np.int64), Counter[int]()
    now = first = 0
    while first < n:
        now = max(now, int(arrival[first]))
        end = min(int(np.searchsorted(arrival, now, side="right")), first + max_batch)
        entered[first:end] = now
        now += round(SERVICE_NS * (alone + (1 - alone) * (end - first)))
        done[first:end] = now
        histogram[end - first] += 1
        first = end
    return entered, done, histogram


def make_queries_(load: float = 0.5, n: int = 500, seed: int = 1, max_batch: int = 1, alone: float = 0.0) -> Queries:
    arrival = arrivals_ns(load, n, seed)
    entered, done, _ = serve(arrival, max_batch, alone)
    return Queries(arrival, entered, done, np.zeros(n, np.uint8), np.zeros(n, np.bool_))


def make_measured_(
    load: float = 0.5,
    n: int = 500,
    seed: int = 1,
    max_batch: int = 1,
    alone: float = 0.0,
    role: Role = "policy",
    queries: Queries | None = None,
    **policy: object,
) -> Measured:
    arrival = arrivals_ns(load, n, seed)
    entered, done, histogram = serve(arrival, max_batch, alone)
    if queries is None:
        queries = Queries(arrival, entered, done, np.zeros(n, np.uint8), np.zeros(n, np.bool_))
    launches = histogram.total()
    stages = tuple(StageUse(index, histogram, float(n), float(launches * max_batch)) for index in range(3))
    return Measured(
        policy={"scheduler_type": "NORMAL", "max_batch_size": max_batch} | policy,
        load={
            "process": "poisson",
            "request_rate_rps": load * 1e9 / SERVICE_NS,
            "utilization": load,
            "seed": seed,
            "schedule_sha256": f"{load}-{n}-{seed}",
            "duration_s": float(arrival[-1]) / 1e9 if n else 0.0,
        },
        queries=queries,
        stages=stages,
        operations={"new": launches},
        decision_ns=None,
        device_busy_fraction=0.5,
        bytes_copied=0,
        admission="simulated",
        slo_ms=50.0,
        slo_quantile=0.99,
        role=role,
    )


def make_report_(loads: tuple[float, ...] = (0.3, 0.6, 0.9, 1.2), seeds: int = 3, n: int = 1000) -> dict[str, Any]:
    """Four ways of batching on the same server, at several loads and seeds; rates past 1 need batches."""
    ways: tuple[tuple[Role, int, Mapping[str, Any]], ...] = (
        ("untuned", 2, {}),
        ("swept", 32, {}),
        ("policy", 16, {"scheduler_type": "LOAD_DVA"}),
        ("policy", 8, {"scheduler_type": "OPERATOR_DVA", "favor_per_stage": [8, 4, 8]}),
        ("policy", 1, {"scheduler_type": "HYBRID_DVA", "name": "hybrid, one at a time"}),
    )
    runs, responses = [], {}
    for load in loads:
        for role, max_batch, policy in ways:
            for seed in range(1, seeds + 1):
                measured = make_measured_(load, n, seed, max_batch, 0.3, role, **policy)
                runs.append(summarise(measured))
                responses[run_key(runs[-1])] = measured.queries.response_by_id_ns()
    stages = [{"index": index, "file": f"{index}.onnx", "sha256": "0" * 64, "nodes": 9} for index in range(3)]
    return assemble(
        name="queue",
        dvabatch_version="0.1.0",
        config={"name": "queue", "load": {"seeds": list(range(1, seeds + 1))}},
        model={"name": "resnet_152", "sha256": "0" * 64, "stages": stages},
        engine={
            "backend": "table",
            "precision": "fp16",
            "version": "1",
            "max_batch": 32,
            "build_s": 0.0,
            "cached": True,
        },
        profile=None,
        correctness=None,
        runs=runs,
        comparison=compare(runs, responses),
    )


@pytest.fixture
def make_queries() -> MakeQueries:
    return make_queries_


@pytest.fixture
def make_measured() -> MakeMeasured:
    return make_measured_


@pytest.fixture(scope="session")
def report() -> dict[str, Any]:
    """A whole report; the tests that take it do not change it."""
    return make_report_()
