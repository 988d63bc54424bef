"""Every number of a report follows from what is kept beside it: of queries and time from the raw records, of launches,
operations and faults from the traces, of comparisons from the records of both. They are computed here once more, and held to
the report; a number of a run that is held to nothing fails the test."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import (
    LOAD,
    NORMAL,
    OPERATOR,
    SCHEMA,
    TABLE,
    dvabatch,
    ended_well,
    report_of,
    table_config,
)  # fmt: skip
from tests.cli.from_records import of_records
from tests.cli.from_trace import of_trace
from tests.cli.test_faults import ENGINE_OF_TABLE, KINDS
from tests.reporting.again import ratio_interval

SLO_MS = 1.5
EVERYTHING = [{"kind": kind, **KINDS[kind]} for kind in KINDS if kind != "device_lost"]
LENGTHS_TABLE = {
    "lanes": {
        str(length): {"stages": [{"latency_ms": {"1": 0.1 * length / 8, "8": 0.4 * length / 8}}] * 2}
        for length in (8, 16)
    }
}
BURST = {"process": "constant", "request_rate": 50_000, "num_requests": 200}
COPIES = {"scheduler_type": "OPERATOR_DVA", "favor_per_stage": [1, 8], "max_batch_size": 3}
CASES: dict[str, dict[str, Any]] = {
    "simulate": {"policies": [NORMAL, LOAD, OPERATOR]},
    "many": {"policies": [NORMAL], "load": {"process": "poisson", "request_rate": 3000, "num_requests": 5000}},
    "bench": {"faults": [{"kind": "cancel", **KINDS["cancel"]}]},
    "bench_copies": {"policies": [COPIES], "load": BURST},
    "faults": {"faults": EVERYTHING, "engine": ENGINE_OF_TABLE, "checks": {"error_limit": 0.9}},
    "served_whole": {
        "policies": [OPERATOR], "faults": [{"kind": kind, **KINDS[kind]} for kind in ("cancel", "fail")],
        "engine": ENGINE_OF_TABLE, "checks": {"error_limit": 0.9},
    },
    "device_lost": {
        "faults": [{"kind": "device_lost", "at_s": 0.1}], "engine": ENGINE_OF_TABLE, "checks": {"error_limit": 0.9},
    },
    "overload": {
        "policies": [{**each, "max_queue": 16} for each in (NORMAL, LOAD)],
        "load": {"process": "poisson", "request_rate": 40_000, "num_requests": 4000},
    },
    "held": {"load": {"process": "poisson", "request_rate": 4000, "num_requests": 400, "max_concurrency": 3}},
    "bench_held": {"load": {"process": "poisson", "request_rate": 4000, "num_requests": 400, "max_concurrency": 3}},
    "padded": {"table": {**TABLE, "batch_sizes": [1, 4, 8]}},
    "lengths": {
        "table": LENGTHS_TABLE,
        "policies": [{"scheduler_type": "NORMAL_INPUT", "preferred_seq_len": [8, 16]}],
        "load": {
            "process": "poisson", "request_rate": 2000, "num_requests": 400,
            "lengths": {"distribution": "uniform", "low": 1, "high": 18},
        },
    },
}  # fmt: skip
# What a run was told to do, and what was judged of its numbers (tests/reporting/test_validity.py).
TOLD = {"policy", "role", "admission", "error_limit", "slo_ms", "slo_quantile", "attempts"}
JUDGED = {"valid", "saturated", "invalid_reasons", "late"}
# Read off clocks, devices and answers while it ran, and not kept one by one.
MEASURED = {"correctness", "gpu", "graphs", "queueing_us"}
SIMULATED_ANEW = {"twin"}  # summarised from records that are not kept: the simulation gives them again


@pytest.mark.parametrize("case", CASES)
def test_the_numbers_of_a_run_follow_from_its_records_and_its_trace(tmp_path: Path, case: str) -> None:
    sections = {
        "load": {"process": "poisson", "request_rate": 1500, "num_requests": 400},
        "slo": {"response_ms": SLO_MS, "quantile": 0.9},
        "table": TABLE,
        **CASES[case],
    }
    sections["load"]["attempts"] = 1
    config, out, real = table_config(tmp_path, **sections), tmp_path / "out", case.startswith("bench")
    done = dvabatch("bench" if real else "simulate", config, "--trace", "-o", out)
    report = report_of(out)
    assert ended_well(done, report), done.err
    by_key = {file.name.removesuffix(".json"): file for file in (out / "points").glob("[!.]*.json")}
    assert len(by_key) == len(report["runs"]) == len(report["config"]["policies"])
    for key, summary in by_key.items():
        told = json.loads(summary.read_text())["run"]
        run = next(each for each in report["runs"] if each["policy"] == told["policy"])
        assert run == told
        records = records_of(out, key)
        again = of_records(records, SLO_MS, sections["load"].get("max_concurrency"))
        again |= of_trace(
            out / "traces" / f"{key}.jsonl", records, sections["table"], sections.get("faults", ()), real=real
        )
        again["slo_met"] = again["slo_attainment"] >= Fraction(9, 10)
        names = ("process", "request_rate", "max_concurrency")
        asked = {name: sections["load"][name] for name in names if name in sections["load"]}
        again["load"] |= {name.replace("rate", "rate_rps"): value for name, value in asked.items()} | {
            "seed": 1,
            "utilization": None,
        }
        assert (run["overhead"]["decision_us"] is None) is not real
        held = check(run, again)
        assert {path for path, _ in numbers(run) if path[0] not in TOLD | JUDGED | MEASURED} == set(held)
        assert len(held) > 150


def test_no_field_of_a_run_is_forgotten() -> None:
    """What the schema allows is recomputed above, or named with the reason why it is not."""
    fields = set(json.loads(SCHEMA.read_text())["$defs"]["run"]["properties"])
    again = {
        "load", "counts", "response_ms", "response_cdf_ms", "service_ms", "lateness_ms", "request_throughput_rps",
        "goodput_rps", "slo_attainment", "slo_met", "stages", "operations", "served_whole", "reasons", "overhead",
        "held_back", "faults",
    }  # fmt: skip
    assert fields == again | TOLD | JUDGED | MEASURED | SIMULATED_ANEW


def records_of(out: Path, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "points" / f"{key}.queries.jsonl").read_text().splitlines()]


def numbers(told: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], float]]:
    """Every number, with the way to it."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from numbers(value, (*path, name))
    elif isinstance(told, list):
        for index, value in enumerate(told):
            yield from numbers(value, (*path, index))
    elif isinstance(told, int | float) and not isinstance(told, bool):
        yield path, told


def check(told: Any, again: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Holds all of `again` against what was told, to the digits that are told; answers with the ways to the numbers."""
    if isinstance(again, dict):
        if path:
            assert set(told) == set(again), path
        return [each for name, value in again.items() for each in check(told[name], value, (*path, name))]
    if isinstance(again, list):
        assert len(told) == len(again), path
        return [
            each
            for index, (one, other) in enumerate(zip(told, again, strict=True))
            for each in check(one, other, (*path, index))
        ]
    if isinstance(again, Fraction):
        # Times are told to a nanosecond (a duration to a microsecond), shares and rates to six digits.
        times = any(str(name).endswith(("_ms", "duration_s")) for name in path)
        allowed = Fraction(6, 10**7) if times else abs(again) * Fraction(6, 10**6)
        assert abs(Fraction(told) - again) <= allowed, (path, told, float(again))
    else:
        assert told == again, path
    return [path] if isinstance(told, int | float) and not isinstance(told, bool) else []


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_numbers_of_a_comparison_follow_from_the_records_of_both(tmp_path: Path, seeds: int) -> None:
    config = table_config(
        tmp_path,
        baselines=["untuned"],
        slo={"response_ms": SLO_MS},
        load={"process": "poisson", "request_rate": 2500, "num_requests": 600, "seeds": list(range(1, seeds + 1))},
    )
    out = tmp_path / "out"
    dvabatch("simulate", config, "-o", out)
    report = report_of(out)
    kept = {}
    for file in (out / "points").glob("[!.]*.json"):
        run = json.loads(file.read_text())["run"]
        who = "untuned" if run["role"] == "untuned" else run["policy"]["name"]
        kept[who, run["load"]["seed"]] = (
            of_records(records_of(out, file.stem), SLO_MS, None),
            records_of(out, file.stem),
        )
    assert [row["policy"] for row in report["comparison"]] == ["NORMAL", "LOAD_DVA"]
    for row in report["comparison"]:
        pairs = [(kept[row["policy"], seed], kept["untuned", seed]) for seed in range(1, seeds + 1)]
        again = recompared(pairs)
        assert (
            len(check({name: row[name] for name in again}, again)) == 12 == len(list(numbers({**row, "load": 0}))) - 1
        )
        assert row["load"] == {"process": "poisson", "request_rate_rps": 2500, "utilization": None}


def recompared(pairs: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    def mean(values: Sequence[Fraction]) -> Fraction:
        return sum(values, Fraction()) / len(values)

    def over(*path: str) -> Fraction:
        return mean([_at(one[0], path) / _at(other[0], path) for one, other in pairs])

    def answered(side: int) -> Fraction:
        completed, offered = (sum(pair[side][0]["counts"][name] for pair in pairs) for name in ("completed", "offered"))
        return Fraction(completed, offered)

    answers = [tuple([each["done_ns"] - each["arrival_ns"] for each in side[1]] for side in pair) for pair in pairs]
    ratios = [Fraction(sum(one), sum(other)) for one, other in answers]
    if len(pairs) == 1:
        low, high, p = ratio_interval(*answers[0])
    else:
        low, high, p = student(list(map(float, ratios)))
    return {
        "seeds": len(pairs),
        "ratio": mean(ratios),
        "ratio_ci95": [Fraction(low), Fraction(high)],
        "p": Fraction(p),
        "mean_ms": mean([one[0]["response_ms"]["mean"] for one, _ in pairs]),
        "baseline_mean_ms": mean([other[0]["response_ms"]["mean"] for _, other in pairs]),
        "p99_ratio": over("response_ms", "p99"),
        "throughput_ratio": over("request_throughput_rps"),
        "goodput_ratio": over("goodput_rps"),
        "answered": answered(0),
        "baseline_answered": answered(1),
    }


def _at(again: Any, path: Sequence[str]) -> Fraction:
    for name in path:
        again = again[name]
    return Fraction(again)


def student(values: Sequence[float]) -> tuple[float, float, float]:
    """The 95 % interval of the mean of three values and the p of "it is 1", where P(|T| < t) is t / sqrt(2 + t²)."""
    assert len(values) == 3
    mean = math.fsum(values) / 3
    error = math.sqrt(math.fsum((each - mean) ** 2 for each in values) / 2 / 3)
    t, reach = abs(mean - 1) / error, 0.95 * math.sqrt(2 / (1 - 0.95**2))
    return mean - reach * error, mean + reach * error, 1 - t / math.sqrt(2 + t * t)
