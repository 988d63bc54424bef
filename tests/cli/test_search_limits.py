"""`search` finds the limit that theory knows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.cli.searched import CONSTANT, POISSON, limit_of, one_server


def within(row: dict[str, Any], limit_rps: float, part: float = 0.02) -> bool:
    return all(abs(row[end] / limit_rps - 1) <= part for end in ("low_rps", "high_rps"))


@pytest.mark.parametrize(
    ("latency_ms", "limit_rps"),
    [
        ({"1": 1.0, "8": 2.0}, 4000.0),
        ({"1": 0.3, "4": 0.9, "8": 2.2}, 4 / 0.0009),
        ({"1": 20.0, "32": 50.0}, 640.0),
    ],
)
def test_the_limit_of_evenly_spaced_queries_is_the_best_batch_over_its_time(
    tmp_path: Path, latency_ms: dict[str, float], limit_rps: float
) -> None:
    """D/D/1 in batches: max b / T(b), behind which the backlog grows, however long a query may take."""
    row = limit_of(one_server(tmp_path, latency_ms, CONSTANT), "--slo", "p99:500ms")
    assert within(row, limit_rps)
    assert row["low_rps"] <= limit_rps * (1 + 1e-6)
    assert row["kind"] == "cliff"


def test_the_knee_of_a_server_that_takes_whoever_waits(tmp_path: Path) -> None:
    """T(b) = a + c b with room for all: a batch is what came during the last, so that T = a / (1 - rate c) whatever its size.
    A query waits from 0 to T and is served for T; the 99th percentile of that is 1.99 T. The rate at which it is 3 ms is
    (1 - 1.99 a / 3 ms) / c, in whole queries, far below the cliff at 128 / T(128)."""
    a, c = 1.0, 0.01
    row = limit_of(one_server(tmp_path, {"1": a + c, "128": a + 128 * c}, CONSTANT), "--slo", "p99:3ms")
    assert within(row, 1e3 * (1 - 1.99 * a / 3) / c)
    assert row["kind"] == "knee"
    assert row["high"]["saturated"] == 0


def test_a_policy_that_waits_for_company_holds_from_a_rate_on(tmp_path: Path) -> None:
    """Batches of eight, for which it waits for ever: at rates below 7 / (bound - T(8)) the first of a batch is late."""
    config = one_server(
        tmp_path, {"1": 1.0, "8": 2.0}, CONSTANT, max_queue_delay_microseconds=10_000_000, max_batch_size=8
    )
    row = limit_of(config, "--slo", "p99:5ms")
    assert within(row, 4000)
    assert row["misses_below_rps"] < 7 / 0.003


def waits_at_most(load: float, times: float) -> float:
    """P(W <= times S) of M/D/1 (Erlang), for a few service times."""
    return (1 - load) * math.fsum(
        math.exp(load * (times - k)) * (load * (k - times)) ** k / math.factorial(k) for k in range(int(times) + 1)
    )


def test_the_limit_of_random_arrivals_lies_in_the_bracket(tmp_path: Path) -> None:
    """M/D/1: the load at which 90 % are answered within three service times, which is 0.587."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if waits_at_most(middle, 2.0) >= 0.9 else (low, middle)
    config = one_server(tmp_path, {"1": 1.0}, {**POISSON, "num_requests": 1500})
    row = limit_of(config, "--slo", "p90:3ms", "--seeds", 4, "--tolerance", 0.03)
    assert row["low_rps"] <= 1000 * low <= row["high_rps"]
    assert within(row, 1000 * low, 0.12)
    assert row["kind"] == "knee"
    assert row["low"]["fresh"]
    assert row["low"]["ci95"][0] >= 0.9 > row["high"]["ci95"][1]
