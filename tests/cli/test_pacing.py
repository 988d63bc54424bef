"""The pacing self-test: what follows from what was found, and that it measures what really happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from dvabatch.batching.query import Query
from dvabatch.reporting.measured import Queries, Status
from dvabatch.reporting.report import read_report
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.driver import Driver
from dvabatch.runtime.polling import PollingDriver
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch_cli import pacing
from dvabatch_cli.host import CpuTimes
from dvabatch_cli.pacing import Admission, DriverKind, Lateness, Pacing, judged, measure_pacing, quick_pacing
from tests.cli.command import NORMAL, SCHEMA, dvabatch, table_config

MS = 1_000_000
FEW = (60, 80, 100)


def found(admission: Admission, *on_time: bool) -> list[Lateness]:
    """At 1,000, 5,000 and 20,000 queries/s."""
    rates = zip(pacing.RATES_RPS, on_time, strict=False)
    return [Lateness(admission, rate, 0.1, 0.2, 0.3, fine) for rate, fine in rates]


@pytest.mark.parametrize(
    ("pull", "push", "admission", "up_to"),
    [
        ((True, True, True), (True, True, True), "pull", 20_000),
        ((True, True, False), (True, False, False), "pull", 5_000),
        ((True, True, False), (True, True, False), "pull", 5_000),
        ((True, False, False), (True, True, False), "push", 5_000),
        ((False, False, False), (True, False, False), "push", 1_000),
        ((True, False, True), (), "pull", 1_000),  # by luck: nobody should count on 20,000
        ((False, True, True), (False, False, False), None, 0),
    ],
)
def test_the_admission_that_follows(
    pull: tuple[bool, ...], push: tuple[bool, ...], admission: Admission | None, up_to: int
) -> None:
    result = Pacing("threaded", (*found("push", *push), *found("pull", *pull)))
    assert result.admission == admission
    assert (result.to_json()["admission"], result.to_json()["on_time_up_to_rps"]) == (admission, up_to)
    assert ("late at 1,000" if admission is None else f"on time up to {up_to:,} queries/s") in result.verdict
    assert ('"pull" is late' in result.verdict) == (admission == "push")


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (found("pull", True, True, False), "on time up to 5,000 queries/s: load.admission pull"),
        # A run whose config says push: nothing is left to set, and nothing known of pull.
        (found("push", True, True, False), "on time up to 5,000 queries/s: load.admission push"),
        (
            [*found("pull", True, False, False), *found("push", True, True, False)],
            'on time up to 5,000 queries/s: load.admission push (set it: the default "pull" is late from there on)',
        ),
        (
            found("push", False, True, True),
            "late at 1,000 queries/s already: free a core, or runs may come out invalid",
        ),
    ],
)
def test_the_verdict_speaks_of_what_was_measured(measured: list[Lateness], verdict: str) -> None:
    assert Pacing("threaded", tuple(measured)).verdict == verdict


def queries(late_ns: int, *, of: int = 1_000, late: int = 20) -> Queries:
    """A millisecond apart; the last few are seen late, while no executor was free."""
    arrival_ns = np.arange(of, dtype=np.int64) * MS
    admitted_ns = arrival_ns + np.where(np.arange(of) >= of - late, late_ns, 1_000)
    status = np.full(of, Status.COMPLETED, np.uint8)
    return Queries(arrival_ns, admitted_ns, admitted_ns + MS, status, np.zeros(of, np.bool_))


@pytest.mark.parametrize(
    ("given", "on_time"),
    [(queries(900_000), True), (queries(3 * MS), False), (queries(3 * MS, late=9), True)],
    ids=["within 1 ms", "p99 above 1 ms", "fewer than 1 %"],
)
def test_nothing_excuses_a_late_query_here(given: Queries, on_time: bool) -> None:
    numbers = {"p50": 0.001, "p99": 3.0, "max": 3.0}
    assert judged(given, numbers, "pull", 1_000) == Lateness("pull", 1_000, 0.001, 3.0, 3.0, on_time)


@pytest.mark.parametrize("driver", ["threaded", "polling"])
@pytest.mark.parametrize("admission", ["pull", "push"])
def test_queries_go_through_the_real_driver(
    monkeypatch: pytest.MonkeyPatch, driver: DriverKind, admission: Admission
) -> None:
    drove: set[type] = set()
    run = Driver.run

    def noted(self: Driver[Any], *args: Any, **options: Any) -> None:
        drove.add(type(self))
        run(self, *args, **options)

    monkeypatch.setattr(Driver, "run", noted)
    said: list[str] = []
    result = measure_pacing(driver, (admission,), FEW, say=said.append)
    assert drove == {PollingDriver if driver == "polling" else ThreadedDriver}
    assert result.driver == driver
    assert [each.rate_rps for each in result.found] == [1_000, 5_000, 20_000]
    for each in result.found:
        assert each.admission == admission
        assert each.p50_ms is not None
        assert each.p99_ms is None  # too few queries for one
        assert each.max_ms is not None
        assert each.max_ms >= each.p50_ms > 0
    assert said == [f"pacing: {n} queries at {r:,}/s, {admission}" for n, r in zip(FEW, pacing.RATES_RPS, strict=True)]


def test_a_driver_that_looks_late_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that lets the driver see each query 5 ms after it was due."""
    take_due: Callable[[PullArrivals, int], list[Query]] = PullArrivals.take_due
    monkeypatch.setattr(PullArrivals, "take_due", lambda self, now_ns: take_due(self, now_ns - 5 * MS))
    result = measure_pacing("threaded", ("pull",), FEW, say=lambda _: None)
    assert all(each.max_ms is not None and each.max_ms >= 5 and not each.on_time for each in result.found)
    assert result.admission is None


@pytest.fixture
def few_queries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pacing, "QUICK_QUERIES", FEW)
    quick_pacing.cache_clear()
    yield
    quick_pacing.cache_clear()


def environment_of(folder: Path) -> dict[str, Any]:
    """The environment of a report that is as its schema says."""
    whole = read_report(folder)
    jsonschema.validate(whole, json.loads(SCHEMA.read_text()))
    found: dict[str, Any] = whole["environment"]
    return found


@pytest.mark.usefixtures("few_queries")
def test_every_real_report_says_how_punctual_the_host_was(tmp_path: Path) -> None:
    load = {"process": "poisson", "request_rate": 2000, "num_requests": 50, "attempts": 1, "admission": "push"}
    config = table_config(tmp_path, policies=[NORMAL], load=load)
    done = dvabatch("bench", config, "-o", tmp_path / "out")
    facts = environment_of(tmp_path / "out")
    assert [each["request_rate_rps"] for each in facts["pacing"]["measured"]] == [1_000, 5_000, 20_000]
    assert {each["admission"] for each in facts["pacing"]["measured"]} == {"push"}
    assert facts["steal_share"] is None or 0 <= facts["steal_share"] <= 1
    assert f"this host is {quick_pacing('threaded', 'push').verdict}" in done.err
    assert quick_pacing("threaded", "push").to_json() == facts["pacing"]  # measured once
    dvabatch("simulate", config, "-o", tmp_path / "simulated")
    assert environment_of(tmp_path / "simulated")["pacing"] is None


@pytest.mark.usefixtures("few_queries")
def test_a_real_report_says_what_was_stolen_while_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([CpuTimes(total=1_000, steal=10), CpuTimes(total=1_400, steal=110)])
    monkeypatch.setattr("dvabatch_cli.experiment.cpu_times", lambda: next(times))
    dvabatch("bench", table_config(tmp_path, policies=[NORMAL]), "--num-requests", 20, "-o", tmp_path / "out")
    assert environment_of(tmp_path / "out")["steal_share"] == 0.25


@pytest.mark.parametrize("admission", ["pull", None])
def test_doctor_prints_lateness_and_what_follows(monkeypatch: pytest.MonkeyPatch, admission: str | None) -> None:
    fine = admission is not None
    result = Pacing("threaded", (*found("pull", fine, fine, False), *found("push", fine, False, False)))
    monkeypatch.setattr("dvabatch_cli.doctor.measure_pacing", lambda driver, *, say: result)
    document = dvabatch("doctor", "--json").document()
    assert document["environment"]["pacing"] == result.to_json()
    finding = {each["what"]: each for each in document["findings"]}["pacing"]
    assert (finding["found"], finding["fine"], finding["needed"]) == (result.verdict, fine, False)
    done = dvabatch("doctor")
    rows = [line.split("│") for line in done.out.splitlines()]
    told = {(row[1].strip(), row[2].strip(), row[4].strip(), row[6].strip()) for row in rows if len(row) == 8}
    assert ("pull", "5,000", "0.2000", "yes" if fine else "no") in told
    assert ("push", "20,000", "0.2000", "no") in told
    assert "about 7 s" in done.err


def test_doctor_without_pacing_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvabatch_cli.doctor.measure_pacing", lambda *_, **__: pytest.fail("measured"))
    document = dvabatch("doctor", "--no-pacing", "--json").document()
    assert document["environment"]["pacing"] is None
    assert "pacing" not in {each["what"] for each in document["findings"]}


@pytest.mark.parametrize(("backend", "driver"), [("tensorrt", "polling"), ("onnxruntime", "threaded")])
def test_doctor_tests_the_driver_that_bench_would_take(
    monkeypatch: pytest.MonkeyPatch, backend: str, driver: DriverKind
) -> None:
    monkeypatch.setattr("dvabatch_cli.doctor.backend_of", lambda asked, say: backend)
    monkeypatch.setattr(
        "dvabatch_cli.doctor.measure_pacing", lambda driver, *, say: Pacing(driver, tuple(found("pull", True)))
    )
    assert dvabatch("doctor", "--json").document()["environment"]["pacing"]["driver"] == driver
