"""What one run says, what several say together, and what is kept of them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.measured import Measured, Queries, Status
from dvabatch_cli.searching.limit import Verdict
from dvabatch_cli.searching.probe import Probe, ProbeStore, cut_probe, judge, probe_of, settled
from dvabatch_cli.searching.slo import Slo

SLO = Slo(Fraction(99, 100), 10_000_000)
LOAD = dict.fromkeys(("process", "request_rate_rps", "utilization", "seed", "schedule_sha256", "duration_s"))
FACTS = {"policy": "NORMAL"}


def probe(met: int, offered: int = 2000, *, saturated: bool = False) -> Probe:
    """Misses spread evenly over twenty blocks."""
    share = offered // 20
    missed = offered - met
    blocks = tuple((share - missed // 20 - (index < missed % 20), share) for index in range(20))
    return Probe(blocks, saturated)


def measured(response_ms: list[float | None]) -> Measured:
    """Queries a second apart; None for one that was refused."""
    arrival = np.arange(len(response_ms), dtype=np.int64) * 10**9
    done = arrival + np.array([round((each or 0) * 1e6) for each in response_ms])
    status = np.array([Status.REJECTED if each is None else Status.COMPLETED for each in response_ms], np.uint8)
    queries = Queries(arrival, arrival, done, status)
    return Measured({"scheduler_type": "NORMAL"}, LOAD, queries, (), {}, None, None, 0, "simulated", None, None)


def test_a_run_tells_its_quantile_over_all_that_were_offered() -> None:
    found = probe_of(measured([5.0] * 98 + [20.0, 30.0]), SLO)
    assert sum(met for met, _ in found.blocks) == 98
    assert (found.fastest_ms, found.quantile_ms, found.saturated, found.valid) == (5.0, 20.0, False, True)
    assert probe_of(measured([5.0] * 98 + [None, None]), SLO).quantile_ms is None


def test_that_nothing_completed_is_a_finding_and_that_all_failed_is_not() -> None:
    refused = probe_of(measured([None] * 40), SLO)
    assert (refused.valid, refused.saturated, refused.fastest_ms) == (True, True, None)
    failed = measured([None] * 40)
    failed.queries.status[:] = Status.FAILED
    assert "failed" in " ".join(probe_of(failed, SLO).invalid_reasons)


def test_a_sender_that_was_late_makes_it_invalid() -> None:
    on_time = measured([5.0] * 100).queries
    late = Queries(on_time.arrival_ns, on_time.arrival_ns + 3_000_000, on_time.done_ns, on_time.status)
    run = Measured({"scheduler_type": "NORMAL"}, LOAD, late, (), {}, None, None, 0, "push", None, None)
    found = probe_of(run, SLO)
    assert found.late
    assert not found.valid


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [
        ([probe(2000)], Verdict.HOLDS),
        ([probe(1990)], Verdict.HOLDS),
        ([probe(1985)], Verdict.OPEN),  # 99.25 %, and 20 too few to be sure
        ([probe(1983)] * 5, Verdict.OPEN),
        ([probe(1988)] * 5, Verdict.HOLDS),
        ([probe(1900)], Verdict.MISSES),
        ([probe(1900, saturated=True)], Verdict.OVERLOADED),
        ([probe(1900), probe(1900, saturated=True)], Verdict.MISSES),  # not most of them
        ([probe(2000, saturated=True)], Verdict.OPEN),  # in time, since they came early; the next runs tell
        ([probe(2000, saturated=True)] * 2, Verdict.OPEN),
        ([probe(2000, saturated=True)] * 3, Verdict.OVERLOADED),
        ([probe(2000), probe(2000, saturated=True)], Verdict.HOLDS),
        ([probe(2000)] * 3 + [cut_probe(2000, 101, 5)], Verdict.OVERLOADED),
    ],
)
def test_probes_are_judged_together(probes: list[Probe], verdict: Verdict) -> None:
    assert judge(probes, SLO, 5, exact=False) is verdict


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (probe(1980), Verdict.HOLDS),
        (probe(1979), Verdict.MISSES),
        (probe(2000, saturated=True), Verdict.OVERLOADED),
    ],
)
def test_without_chance_one_run_decides(one: Probe, verdict: Verdict) -> None:
    assert judge([one], SLO, 5, exact=True) is verdict


def test_the_rest_is_spared_only_where_it_cannot_matter() -> None:
    assert settled([probe(1000)], SLO, 5, exact=False)
    assert not settled([probe(1950)], SLO, 5, exact=False)  # 50 misses are what five runs may have
    assert not settled([probe(2000)], SLO, 5, exact=False)
    assert settled([probe(2000, saturated=True)] * 3, SLO, 5, exact=False)


def test_a_probe_is_kept_whole(tmp_path: Path) -> None:
    store = ProbeStore(tmp_path)
    for key, each in (
        ("one", probe(1999)),
        ("cut", cut_probe(100, 7, 1_500_000)),
        ("run", probe_of(measured([5.0]), SLO)),
    ):
        assert store.load(key) is None
        store.save(key, each, FACTS)
        assert store.load(key) == each


@pytest.mark.parametrize(
    "damage",
    [
        {"blocks": []},
        {"blocks": [[3, 2]]},
        {"blocks": [[-1, 2]]},
        {"blocks": [[1, 1]] * 21},
        {"blocks": "many"},
        {"cut_ms": -1},
        {"quantile_ms": 1e400},
        {"saturated": None},
        {"attempts": 0},
    ],
)
def test_a_damaged_probe_is_refused(tmp_path: Path, damage: dict[str, object]) -> None:
    store = ProbeStore(tmp_path)
    store.save("key", probe(1999), FACTS)
    file = tmp_path / "key.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **damage}))
    with pytest.raises(ReportError, match=r"key\.json is not a probe of a search"):
        store.load("key")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"saturated": true}'])
def test_anything_else_is_no_probe(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(ReportError, match="a probe of a search"):
        ProbeStore(tmp_path).load("key")
