"""Points are measured again while the host disturbs them, and the quietest attempt counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dvabatch.reporting import validity
from dvabatch_cli.attempts import Disturbance, is_done
from dvabatch_cli.pacing import quick_pacing
from dvabatch_cli.testbed import RealBed
from tests.cli.command import LOAD, NORMAL, dvabatch, report_of, table_config


def a_run(*, late: bool = False, steady: bool | None = None, pace: float | None = None) -> dict[str, Any]:
    run: dict[str, Any] = {"late": late, "invalid_reasons": ["the sender was late"] if late else []}
    if steady is not None:
        run["twin"] = {"speed": [1.0, 1.0], "steady": steady}
    if pace is not None:
        run["queueing_us"] = {"pace": pace}
    return run


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (a_run(), None),
        (a_run(steady=True, pace=1.25), None),
        (a_run(pace=0.6), None),
        ({**a_run(), "queueing_us": {"pace": None}}, None),
        ({**a_run(), "twin": {"speed": None, "steady": False}}, None),  # nobody can tell
        (a_run(pace=1.26), "queueing a launch took the host 1.26 times as long as in the profile"),
        (a_run(steady=False, pace=3.0), "the host's speed changed meanwhile"),
        (a_run(late=True, steady=False), "the sender was late"),
    ],
)
def test_what_a_host_did_is_a_reason_to_measure_again(run: dict[str, Any], reason: str | None) -> None:
    assert Disturbance.of(run).reason(run) == reason


def test_a_late_sender_is_worse_than_an_unsteady_host_and_that_than_a_slow_one() -> None:
    runs = [a_run(pace=1.1), a_run(pace=9.0), a_run(steady=False, pace=1.0), a_run(late=True, pace=0.5)]
    runs.insert(2, a_run())  # of which nobody can tell
    found = [Disturbance.of(run) for run in runs]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("paces", "kept", "attempts"),
    [
        ((1.2,), 1.2, 1),
        ((None,), None, 1),
        ((1.9, 1.1), 1.1, 2),
        ((1.5, 1.3, 1.7), 1.3, 3),
        ((1.4, 2.0, 1.6), 1.4, 3),
        ((1.3, None, 1.1), 1.1, 3),
        ((1.3, None, None), 1.3, 3),
    ],
)
def test_a_slow_spell_is_measured_again_and_the_fastest_attempt_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paces: tuple[float | None, ...], kept: float | None, attempts: int
) -> None:
    quick_pacing("threaded", "pull")  # once a process, in such a bed too
    left, measure = list(paces), RealBed.run

    def run(bed: RealBed, *words: Any) -> Any:
        return replace(measure(bed, *words), queueing_us={"p50": 9.0, "p99": 9.0, "whole": 9.0, "pace": left.pop(0)})

    monkeypatch.setattr(RealBed, "run", run)
    monkeypatch.setattr(validity, "_off_rate", lambda *_: [])  # this host may be busy: that is not what is tested
    monkeypatch.setattr(validity, "_late", lambda *_: [])
    load = {"process": "constant", "request_rate": 2000, "num_requests": 40}
    done = dvabatch("bench", table_config(tmp_path, policies=[NORMAL], load=load), "-o", tmp_path / "out")
    (measured,) = report_of(tmp_path / "out")["runs"]
    assert not measured["late"], done.err
    assert (measured["queueing_us"]["pace"], measured["attempts"], left) == (kept, attempts, [])
    assert done.err.count("; measured again") == attempts - 1
    slow = sum(pace is not None and pace > 1.25 for pace in paces[:-1])
    assert done.err.count("times as long as in the profile; measured again") == slow


def test_a_slow_spell_is_waited_out_behind_the_other_points_of_the_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_pacing("threaded", "pull")
    paces, measured, measure = [1.9, 1.5, 1.4, 1.1, 1.2], [], RealBed.run

    def run(bed: RealBed, contender: Any, *words: Any) -> Any:
        measured.append(contender.name)
        return replace(
            measure(bed, contender, *words), queueing_us={"p50": 9.0, "p99": 9.0, "whole": 9.0, "pace": paces.pop(0)}
        )

    monkeypatch.setattr(RealBed, "run", run)
    monkeypatch.setattr(validity, "_off_rate", lambda *_: [])
    monkeypatch.setattr(validity, "_late", lambda *_: [])
    load = {"process": "constant", "request_rate": 2000, "num_requests": 40}
    config = table_config(tmp_path, policies=[NORMAL, LOAD], load=load)
    done = dvabatch("bench", config, "-o", tmp_path / "out")
    assert measured == ["NORMAL", "LOAD_DVA", "NORMAL", "LOAD_DVA", "NORMAL"]
    assert done.err.index("[1/2] LOAD_DVA") < done.err.index("[2/2] NORMAL")
    runs = report_of(tmp_path / "out")["runs"]
    assert [(run["policy"]["name"], run["queueing_us"]["pace"], run["attempts"]) for run in runs] == [
        ("NORMAL", 1.2, 3),
        ("LOAD_DVA", 1.1, 2),
    ]


def test_a_resumed_point_goes_on_where_an_interruption_left_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_pacing("threaded", "pull")
    paces: list[float | None] = [1.3, None, 3.0, 2.8, 1.0]
    measure = RealBed.run

    def run(bed: RealBed, *words: Any) -> Any:
        pace = paces.pop(0)
        if pace is None:
            raise KeyboardInterrupt
        return replace(measure(bed, *words), queueing_us={"p50": 9.0, "p99": 9.0, "whole": 9.0, "pace": pace})

    monkeypatch.setattr(RealBed, "run", run)
    monkeypatch.setattr(validity, "_off_rate", lambda *_: [])
    monkeypatch.setattr(validity, "_late", lambda *_: [])
    load = {"process": "constant", "request_rate": 2000, "num_requests": 40}
    config, out = table_config(tmp_path, policies=[NORMAL], load=load), tmp_path / "out"
    assert dvabatch("bench", config, "-o", out).code == 130
    (before,) = report_of(out)["runs"]
    assert (before["queueing_us"]["pace"], before["attempts"]) == (1.3, 1)
    done = dvabatch("bench", config, "-o", out, "--resume")
    (after,) = report_of(out)["runs"]
    assert paces == [1.0], "three attempts in all"
    assert after == {**before, "attempts": 3}, done.err
    assert "kept from before" in dvabatch("bench", config, "-o", out, "--resume").err


def test_a_point_that_an_interruption_left_with_a_disturbed_attempt_is_measured_again() -> None:
    slow = a_run(pace=1.5)
    assert not is_done({**slow, "attempts": 2}, 3)
    assert is_done({**slow, "attempts": 3}, 3)
    assert is_done({**a_run(pace=1.1), "attempts": 1}, 3)
    assert is_done(slow, 3), "of a version that did not count them"


def test_the_trace_of_a_point_is_that_of_the_attempt_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_pacing("threaded", "pull")
    paces, measure = [1.5, 1.3, 1.7], RealBed.run

    def run(bed: RealBed, contender: Any, point: Any, schedule: Any, trace: Any) -> Any:
        result = measure(bed, contender, point, schedule, trace)
        pace = paces.pop(0)
        trace.write(f"traced at pace {pace}")
        return replace(result, queueing_us={"p50": 9.0, "p99": 9.0, "whole": 9.0, "pace": pace})

    monkeypatch.setattr(RealBed, "run", run)
    monkeypatch.setattr(validity, "_off_rate", lambda *_: [])
    monkeypatch.setattr(validity, "_late", lambda *_: [])
    load = {"process": "constant", "request_rate": 2000, "num_requests": 40}
    out = tmp_path / "out"
    dvabatch("bench", table_config(tmp_path, policies=[NORMAL], load=load), "--trace", "-o", out)
    (trace,) = (out / "traces").iterdir()
    assert trace.suffix == ".jsonl"
    assert trace.read_text().endswith("traced at pace 1.3")
