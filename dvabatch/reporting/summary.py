"""trace -> summary: one element of report["runs"], a pure function of what was measured.

Milliseconds are rounded to whole nanoseconds (six decimals), shares and rates to six significant digits. What a
run cannot say is None, never NaN.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from .bootstrap import mean_interval
from .measured import IntArray, Measured, Queries, StageUse, Status
from .percentiles import PERCENTILES, percentile_ns
from .validity import invalid_reasons, saturated, sender_reasons

CDF_STEPS: Final = 100
OPERATIONS: Final = ("new", "stretch", "merge", "split", "hold")


def summarise(measured: Measured) -> dict[str, Any]:
    """One element of report["runs"] as BENCH.md's schema has it, and `role`, `admission`, `slo_quantile`, `slo_met`,
    `error_limit` and `response_cdf_ms` besides.

    `request_throughput_rps` is completed queries over the span from the first scheduled arrival to the last answer;
    `goodput_rps` counts those within `slo_ms` only, and `slo_attainment` is their share of all that were offered:
    a query that was refused or cancelled did not get its answer in time.
    """
    queries = measured.queries
    numbers = latency_numbers(queries, measured.slo_ms)
    attainment = numbers["slo_attainment"]
    quantile = measured.slo_quantile
    cdf = numbers["response_cdf_ms"]
    # Its middle step is the nearest-rank median, whether or not the sample is large enough to print one.
    median_ms = None if cdf is None else cdf[CDF_STEPS // 2]
    of_sender = sender_reasons(queries, median_ms)
    reasons = invalid_reasons(queries, of_sender, measured.error_limit)
    return {
        "policy": dict(measured.policy),
        "role": measured.role,
        "load": dict(measured.load),
        "admission": measured.admission,
        "valid": not reasons,
        "saturated": saturated(queries, measured.admission, measured.lost_ns),
        "invalid_reasons": reasons,
        "late": bool(of_sender),
        "error_limit": measured.error_limit,
        **numbers,
        "slo_quantile": quantile,
        "slo_met": None if attainment is None or quantile is None else attainment >= quantile,
        "stages": [_stage(stage) for stage in sorted(measured.stages, key=lambda stage: stage.index)],
        "operations": {name: measured.operations.get(name, 0) for name in OPERATIONS} | dict(measured.operations),
        "served_whole": None if measured.rows_whole is None else _of_completed(measured.rows_whole, queries),
        "overhead": {
            "decision_us": _decision_us(measured.decision_ns),
            "device_busy_fraction": _significant(measured.device_busy_fraction),
            "bytes_copied": measured.bytes_copied,
        },
    }


def _of_completed(rows: int, queries: Queries) -> float | None:
    """The share of the answers that `rows` are."""
    return _per(rows, queries.count(Status.COMPLETED))


def latency_numbers(queries: Queries, slo_ms: float | None) -> dict[str, Any]:
    """What a summary says about queries and time: it follows from the raw records and `slo_ms` alone."""
    counts = {
        "offered": len(queries),
        "admitted": int(np.count_nonzero(queries.admitted_ns >= 0)),
        **{status.name.lower(): queries.count(status) for status in Status},
    }
    if counts["offered"] != sum(counts[status.name.lower()] for status in Status):
        raise AssertionError(f"a query is unaccounted for: {counts}")
    numbers: dict[str, Any] = {"counts": counts}
    response = queries.response_ns()
    within = None if slo_ms is None else int(np.count_nonzero(response <= round(slo_ms * 1e6)))
    numbers["response_ms"] = _spread_ms(response)  # sorts them
    numbers["response_cdf_ms"] = _cdf_ms(response)
    del response
    numbers["service_ms"] = _spread_ms(queries.service_ns())
    numbers["lateness_ms"] = _spread_ms(queries.lateness_ns())
    span_s = _span_s(queries)
    numbers["request_throughput_rps"] = _per(counts["completed"], span_s)
    numbers["goodput_rps"] = None if within is None else _per(within, span_s)
    numbers["slo_ms"] = slo_ms
    numbers["slo_attainment"] = None if within is None else _per(within, counts["offered"])
    return numbers


def _spread_ms(values_ns: IntArray) -> dict[str, Any]:
    """Mean with its interval, percentiles and maximum, in ms. Takes the values in order of arrival, leaves them sorted."""
    if len(values_ns) == 0:
        return {"mean": None, "mean_ci95": None, **dict.fromkeys(PERCENTILES), "max": None}
    mean, interval = float(values_ns.mean(dtype=np.float64)), mean_interval(values_ns)
    values_ns.sort()
    return {
        "mean": _ms(mean),
        "mean_ci95": None if interval is None else [_ms(bound) for bound in interval],
        **{name: _ms(percentile_ns(values_ns, name)) for name in PERCENTILES},
        "max": _ms(int(values_ns[-1])),
    }


def _cdf_ms(sorted_ns: IntArray) -> list[float] | None:
    """The quantiles 0, 1/100, .. 1 of ascending values, in ms: enough to redraw their distribution."""
    if len(sorted_ns) == 0:
        return None
    ranks = [max(1, -(-step * len(sorted_ns) // CDF_STEPS)) for step in range(CDF_STEPS + 1)]
    return [round(int(sorted_ns[position - 1]) / 1e6, 6) for position in ranks]


def _span_s(queries: Queries) -> float:
    completed = queries.status == Status.COMPLETED
    if not completed.any():
        return 0.0
    last = int(queries.done_ns.max(where=completed, initial=0))
    return (last - int(queries.arrival_ns.min())) / 1e9


def _stage(stage: StageUse) -> dict[str, Any]:
    histogram = {str(rows): stage.batch_histogram[rows] for rows in sorted(stage.batch_histogram)}
    launches = sum(histogram.values())
    rows = sum(rows * count for rows, count in stage.batch_histogram.items())
    waste = None if stage.rows_computed == 0 else 1 - stage.rows_useful / stage.rows_computed
    return {
        "index": stage.index,
        "launches": launches,
        "mean_batch": _per(rows, launches),
        "batch_histogram": histogram,
        "padding_waste": _significant(waste),
    }


def _decision_us(decision_ns: IntArray | None) -> dict[str, float | None] | None:
    if decision_ns is None or len(decision_ns) == 0:
        return None
    ordered = np.sort(decision_ns)
    values = {name: percentile_ns(ordered, name) for name in ("p50", "p99")}
    return {name: None if value is None else round(value / 1e3, 3) for name, value in values.items()}


def _ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 6)


def _per(amount: float, base: float) -> float | None:
    return None if base == 0 else _significant(amount / base)


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
