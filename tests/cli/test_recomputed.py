"""Every number of a report that is about queries and time follows from the raw records: they are computed here once more, from
points/*.queries.jsonl alone, by definitions written down anew and in exact arithmetic."""

from __future__ import annotations

import json
import math
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import LOAD, NORMAL, dvabatch, ended_well, report_of, table_config
from tests.cli.test_faults import ENGINE_OF_TABLE, KINDS

SLO_MS = 1.5
# The smallest samples whose order statistics bound the quantile with 95 %: from docs/guide.md, and 6 and 36 by the same rule.
NEEDED = {"p50": 6, "p90": 36, "p95": 72, "p99": 368, "p99.9": 3688}
EVERYTHING = [{"kind": kind, **KINDS[kind]} for kind in KINDS if kind != "device_lost"]
LENGTHS_TABLE = {
    "lanes": {
        str(length): {"stages": [{"latency_ms": {"1": 0.1 * length / 8, "8": 0.4 * length / 8}}] * 2}
        for length in (8, 16)
    }
}
CASES: dict[str, dict[str, Any]] = {
    "simulate": {},
    "bench": {"faults": [{"kind": "cancel", **KINDS["cancel"]}]},
    "faults": {"faults": EVERYTHING, "engine": ENGINE_OF_TABLE, "checks": {"error_limit": 0.9}},
    "device_lost": {
        "faults": [{"kind": "device_lost", "at_s": 0.1}], "engine": ENGINE_OF_TABLE, "checks": {"error_limit": 0.9},
    },
    "overload": {
        "policies": [{**each, "max_queue": 16} for each in (NORMAL, LOAD)],
        "load": {"process": "poisson", "request_rate": 40_000, "num_requests": 4000},
    },
    "held": {"load": {"process": "poisson", "request_rate": 4000, "num_requests": 400, "max_concurrency": 3}},
    "lengths": {
        "table": LENGTHS_TABLE,
        "policies": [{"scheduler_type": "NORMAL_INPUT", "preferred_seq_len": [8, 16]}],
        "load": {
            "process": "poisson", "request_rate": 2000, "num_requests": 400,
            "lengths": {"distribution": "uniform", "low": 1, "high": 18},
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_numbers_of_a_report_follow_from_its_records(tmp_path: Path, case: str) -> None:
    sections = {
        "load": {"process": "poisson", "request_rate": 1500, "num_requests": 400},
        "slo": {"response_ms": SLO_MS, "quantile": 0.9},
        **CASES[case],
    }
    sections["load"]["attempts"] = 1
    config, out = table_config(tmp_path, **sections), tmp_path / "out"
    done = dvabatch("bench" if case == "bench" else "simulate", config, "-o", out)
    report = report_of(out)
    assert ended_well(done, report), done.err
    by_key = {file.name.removesuffix(".json"): file for file in (out / "points").glob("[!.]*.json")}
    assert len(by_key) == len(report["runs"]) == len(report["config"]["policies"])
    compared = 0
    for key, summary in by_key.items():
        told = json.loads(summary.read_text())["run"]
        run = next(each for each in report["runs"] if each["policy"] == told["policy"])
        records = [json.loads(line) for line in (out / "points" / f"{key}.queries.jsonl").read_text().splitlines()]
        again = recomputed(records)
        compared += check({name: run[name] for name in again}, again)
        low, high = run["response_ms"]["mean_ci95"] or (run["response_ms"]["mean"],) * 2
        assert low <= run["response_ms"]["mean"] <= high
        assert sum(run["reasons"].values()) == sum(again["counts"][how] for how in ("rejected", "failed", "cancelled"))
        assert run["slo_met"] == (again["slo_attainment"] >= Fraction(9, 10))
    assert compared > 100 * len(report["runs"])  # the distribution's 101 steps and the rest


def recomputed(records: list[dict[str, Any]]) -> dict[str, Any]:
    assert [record["id"] for record in records] == list(range(len(records)))
    ends = Counter(record["status"] for record in records)
    done = [record for record in records if record["status"] == "completed"]
    admitted = [record for record in records if record["admitted_ns"] >= 0]
    response = sorted(record["done_ns"] - record["arrival_ns"] for record in done)
    counts = {"offered": len(records), "admitted": len(admitted)}
    counts |= {how: ends.pop(how, 0) for how in ("completed", "rejected", "failed", "cancelled")}
    assert not ends
    first_ns, last_ns = min(record["arrival_ns"] for record in records), max(record["done_ns"] for record in done)
    span_s = Fraction(last_ns - first_ns, 10**9)
    in_time = sum(each <= SLO_MS * 1e6 for each in response)
    return {
        "counts": counts,
        "response_ms": spread(response),
        "service_ms": spread(sorted(record["done_ns"] - record["admitted_ns"] for record in done)),
        "lateness_ms": spread(sorted(record["admitted_ns"] - record["arrival_ns"] for record in admitted)),
        "response_cdf_ms": [Fraction(nearest_rank(response, Fraction(step, 100)), 10**6) for step in range(101)],
        "request_throughput_rps": len(done) / span_s,
        "goodput_rps": in_time / span_s,
        "slo_ms": SLO_MS,
        "slo_attainment": Fraction(in_time, len(records)),
    }


def nearest_rank(ordered: list[int], share: Fraction) -> int:
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def spread(ordered: list[int]) -> dict[str, Fraction | None]:
    shares = {name: Fraction(name.removeprefix("p")) / 100 for name in NEEDED}
    return {
        "mean": Fraction(sum(ordered), len(ordered) * 10**6),
        "max": Fraction(ordered[-1], 10**6),
        **{
            name: Fraction(nearest_rank(ordered, share), 10**6) if len(ordered) >= NEEDED[name] else None
            for name, share in shares.items()
        },
    }


def check(told: Any, again: Any, *, times: bool = False) -> int:
    """Holds every number of `again` against what was told, to the digits that are told; answers how many there were."""
    if isinstance(again, dict):
        return sum(check(told[name], value, times=times or name.endswith("_ms")) for name, value in again.items())
    if isinstance(again, list):
        assert len(told) == len(again)
        return sum(check(each, other, times=times) for each, other in zip(told, again, strict=True))
    if isinstance(again, Fraction):
        # Times are told to a nanosecond, shares and rates to six digits.
        allowed = Fraction(6, 10**7) if times else abs(again) * Fraction(6, 10**6)
        assert abs(Fraction(told) - again) <= allowed, (told, again)
    else:
        assert told == again
    return 1
