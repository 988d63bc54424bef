"""`search`, the command: what it searches, what it says, and what it refuses."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dvabatch_cli.baselines import QUICK
from dvabatch_cli.result import Result
from dvabatch_cli.searching import limit_run
from dvabatch_cli.testbed import SimulatedBed
from tests.cli.command import NORMAL, dvabatch, refused, report_of
from tests.cli.searched import AT_ONCE, CONSTANT, POISSON, one_server, search, small


def test_every_policy_and_baseline_is_searched_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[float] = []

    def best(config: object, profile: object, point: Any, **_: object) -> list[object]:
        met.append(point.rate_rps)
        return []

    monkeypatch.setattr(limit_run.baselines, "swept", best)
    done = search(small(tmp_path, baselines=["untuned", "swept"]), tmp_path / "out", "--json")
    rows = done.document()["limits"]
    assert done.code == 0
    assert done.err == ""
    assert [(row["policy"], row["role"]) for row in rows] == [
        ("NORMAL", "policy"), ("LOAD_DVA", "policy"), ("untuned", "untuned"),
    ]  # fmt: skip
    assert all(row["low_rps"] < row["high_rps"] for row in rows)
    assert met == [max(row["low_rps"] for row in rows[:2])]  # where ordinary batching has to keep up
    assert len(QUICK) > 0


def test_the_table_and_what_to_run_next(tmp_path: Path) -> None:
    done = search(small(tmp_path), tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "search.json").read_text())["limits"]
    for row in rows:
        (line,) = [line for line in done.out.splitlines() if line.startswith(row["policy"])]
        assert f"{row['low_rps']:.6g}" in line
        assert f"{row['high_rps']:.6g}" in line
        assert row["kind"] in line
    best = max(row["low_rps"] for row in rows)
    assert done.err.splitlines()[-1].startswith("Next: dvabatch simulate ")
    assert done.err.splitlines()[-1].endswith(f" --set load.request_rate={best:.6g}")


def test_an_objective_out_of_reach_ends_with_5_and_how_near_it_came(tmp_path: Path) -> None:
    config = one_server(tmp_path, {"1": 1.0, "8": 2.0}, CONSTANT)
    done = dvabatch("search", config, "--simulate", "--slo", "p99:0.9ms", "-o", tmp_path / "out")
    assert done.code == 5
    assert "NORMAL misses p99:0.9ms at every rate down to 62.5 queries/s: its lowest p99 was 1 ms" in done.err
    assert "the fastest answer took 1 ms" in done.err
    (row,) = json.loads((tmp_path / "out" / "search.json").read_text())["limits"]
    assert (row["status"], row["low_rps"], row["kind"]) == ("unreachable", None, None)


def test_a_baseline_out_of_reach_is_a_finding(tmp_path: Path) -> None:
    """Untuned waits 2 ms for company, which the objective does not allow."""
    policy = {**AT_ONCE, "max_batch_size": 8}
    config = small(tmp_path, policies=[policy], baselines=["untuned"])
    done = search(config, tmp_path / "out", "--slo", "p90:1.5ms", "--json")
    assert done.code == 0
    assert [row["status"] for row in done.document()["limits"]] == ["found", "unreachable"]


def late_beyond(monkeypatch: pytest.MonkeyPatch, rate_rps: float, times: int) -> list[float]:
    """A sender that is late above a rate, so many times."""
    late: list[float] = []
    run = SimulatedBed.run

    def slow(self: SimulatedBed, contender: Any, point: Any, schedule: Any, *words: Any) -> Result:
        result = run(self, contender, point, schedule, *words)
        if point.rate_rps > rate_rps and len(late) < times:
            late.append(point.rate_rps)
            queries = result.measured.queries
            np.copyto(queries.admitted_ns, np.minimum(queries.arrival_ns + 50_000_000, queries.done_ns))
            np.copyto(queries.done_ns, np.maximum(queries.done_ns, queries.arrival_ns + 60_000_000))
            np.copyto(queries.admitted_ns, queries.arrival_ns + 50_000_000)
        return result

    monkeypatch.setattr(SimulatedBed, "run", slow)
    return late


def test_a_late_sender_is_asked_again_and_then_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(tmp_path, policies=[NORMAL])
    with monkeypatch.context() as patch:
        late_beyond(patch, 0, 2)
        once = search(config, tmp_path / "once")
    assert once.code == 0
    assert once.err.count("the sender was late") == once.err.count("measured again") == 2
    with monkeypatch.context() as patch:
        tried = late_beyond(patch, 0, 1000)
        done = search(config, tmp_path / "out")
    assert done.code == 4
    assert "INVALID NORMAL: the sender was late" in done.err
    assert len(tried) == 3  # load.attempts
    (row,) = json.loads((tmp_path / "out" / "search.json").read_text())["limits"]
    assert (row["status"], row["low_rps"], row["rates"]) == ("invalid", None, [])
    assert row["invalid_reasons"]


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (
            {"process": "ramp", "from": 0, "to": 1, "over_s": 5, "unit": "utilization"},
            "a ramp changes its rate by itself",
        ),
        ({"process": "step", "steps": [[1, 0.5]], "unit": "utilization"}, "a step changes its rate by itself"),
        ({**POISSON, "num_requests": 10}, "2 runs of 10 queries cannot show p90, which takes 36"),
    ],
)
def test_loads_that_have_no_limit_are_refused(tmp_path: Path, load: dict[str, Any], words: str) -> None:
    message = refused(2, "search", small(tmp_path, load=load), "--simulate", "--slo", "p90:3ms", "--seeds", 2)
    assert words in " ".join(message.split())
    assert not (tmp_path / "out").exists()


def test_runs_whose_time_holds_no_query_are_refused_and_low_rates_keep_a_few(tmp_path: Path) -> None:
    short = {"process": "poisson", "request_rate": 1, "duration_s": 0.005}
    message = refused(
        2, "search", small(tmp_path, load=short), "--simulate", "--slo", "p90:3ms", "-o", tmp_path / "out"
    )
    assert "0.005 s at half of the capacity, 5714 queries/s, hold less than 30 queries" in " ".join(message.split())
    load = {**short, "duration_s": 0.02}
    done = search(small(tmp_path, policies=[NORMAL], load=load), tmp_path / "out", "--slo", "p90:0.1ms", "--json")
    assert done.code == 5
    (row,) = done.document()["limits"]
    assert row["rates"][0]["rate_rps"] == 1500


def test_without_an_objective_it_says_how_to_give_one(tmp_path: Path) -> None:
    assert "add --slo p99:50ms" in refused(2, "search", small(tmp_path), "--simulate")


def test_the_objective_of_the_config_serves(tmp_path: Path) -> None:
    config = small(tmp_path, policies=[NORMAL], slo={"response_ms": 3, "quantile": 0.9})
    words = ("--simulate", "--tolerance", 0.2, "--seeds", 2, "--json")
    said = dvabatch("search", config, "-o", tmp_path / "own", *words).document()
    given = search(small(tmp_path, policies=[NORMAL]), tmp_path / "given", "--json").document()
    assert said["slo"] == given["slo"]
    assert said["limits"] == given["limits"]


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path) -> None:
    done = search(small(tmp_path, baselines=["swept"]), tmp_path / "out", "--dry-run")
    assert done.code == 0
    assert "5 searches of about 25 runs each" in done.err
    assert not (tmp_path / "out").exists()
    plan = search(small(tmp_path), tmp_path / "out", "--dry-run", "--json").document()
    assert (plan["searches"], plan["missing"]) == (2, [])


def test_a_quick_search_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = dvabatch("search", small(tmp_path, policies=[NORMAL]), "--slo", "p90:3ms", "--simulate", "--quick", "--json")
    assert done.code == 0
    assert done.document()["folder"] == "results/small_quick_search_simulated"
    assert done.document()["tolerance"] == 0.05


@pytest.mark.parametrize("word", [("--set", "load.num_requests=700"), ("--num-requests", "700")])
def test_quick_is_only_the_default(tmp_path: Path, word: tuple[str, str]) -> None:
    config = small(tmp_path, policies=[NORMAL], load={**POISSON, "num_requests": 5000})
    assert document_of(config, tmp_path / "quick", "--quick") == (0.05, 400, 10)
    assert document_of(config, tmp_path / "out", "--quick", "--tolerance", 0.2, *word) == (0.2, 700, None)
    short = small(tmp_path, policies=[NORMAL], load={**POISSON, "max_duration_s": 5})
    assert document_of(short, tmp_path / "short", "--quick") == (0.05, 400, 5)


def document_of(config: Path, out: Path, *words: object) -> tuple[float, int, float | None]:
    """Of a search: tolerance, queries of a run, and its bound in seconds."""
    done = dvabatch("search", config, "--simulate", "--slo", "p90:3ms", "--seeds", 2, "--json", "-o", out, *words)
    assert done.code == 0, done.err
    document = done.document()
    load = document["config"]["load"]
    return document["tolerance"], load["num_requests"], load["max_duration_s"]


def test_the_loads_own_options_are_those_of_bench(tmp_path: Path) -> None:
    words = ("--burstiness", 0.5, "--num-requests", 300, "--max-concurrency", 20, "--seed", 7)
    config = small(tmp_path, policies=[NORMAL])
    load = search(config, tmp_path / "out", "--json", *words).document()["config"]["load"]
    assert [load[name] for name in ("process", "burstiness", "num_requests", "max_concurrency", "seeds")] == [
        "gamma", 0.5, 300, 20, [7],
    ]  # fmt: skip
    probes = [json.loads(file.read_text()) for file in (tmp_path / "out" / "probes").glob("[!.]*.json")]
    assert {probe["run"]["max_concurrency"] for probe in probes} == {20}
    assert {probe["run"]["seed"] for probe in probes if probe["run"]["seed"] < 100} == {7, 8}
    timed = search(config, tmp_path / "timed", "--json", "--duration", 0.2).document()["config"]["load"]
    assert (timed["duration_s"], timed["num_requests"]) == (0.2, None)
    message = refused(2, "search", config, "--slo", "p90:3ms", "--num-requests", 5, "--duration", 1)
    assert "got both num_requests and duration_s" in message


def test_what_to_run_next_has_all_that_made_the_number(tmp_path: Path) -> None:
    words = ("--set", "engine.max_batch=4", "--set", "load.utilization=0.5", "--set", 'baselines=["untuned"]')
    done = search(small(tmp_path), tmp_path / "out", *words, "--burstiness", 0.5)
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "out" / "search.json").read_text())["limits"]
    command = done.err.splitlines()[-1].removeprefix("Next: ")
    assert "utilization" not in command
    following = dvabatch(*shlex.split(command)[1:], "-o", tmp_path / "next")
    assert following.code == 0, following.err
    report = report_of(tmp_path / "next")
    assert (report["config"]["engine"]["max_batch"], report["config"]["load"]["burstiness"]) == (4, 0.5)
    assert {run["load"]["request_rate_rps"] for run in report["runs"]} == {max(row["low_rps"] for row in rows)}


@pytest.mark.parametrize("mmpp", [True, False])
def test_other_loads_are_scaled(tmp_path: Path, mmpp: bool) -> None:
    """Bursts at any mean rate; a recording stretched in time, without chance."""
    (tmp_path / "record.txt").write_text("".join(f"{1000 + 100 * (k % 7)}\n" for k in range(400)))
    bursts = {"process": "mmpp", "states": [0.5, 1.5], "dwell_ms": [5, 5], "unit": "utilization", "num_requests": 400}
    load = bursts if mmpp else {"process": "replay", "file": "record.txt"}
    (row,) = search(small(tmp_path, policies=[NORMAL], load=load), tmp_path / "out", "--json").document()["limits"]
    assert 0 < row["low_rps"] < row["high_rps"]
    assert row["low"]["fresh"] is mmpp


def test_wrong_answers_make_a_run_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimulatedBed.run

    def wrong(self: SimulatedBed, *words: Any) -> Result:
        return replace(run(self, *words), wrong_answers=2, correctness={"checked": 5})

    monkeypatch.setattr(SimulatedBed, "run", wrong)
    done = search(small(tmp_path, policies=[NORMAL]), tmp_path / "out")
    assert done.code == 4
    assert "INVALID NORMAL: 2 of 5 checked answers are wrong" in done.err
    assert "measured again" not in done.err  # they would be wrong again


def test_help_has_an_example() -> None:
    done = dvabatch("search", "--help")
    assert done.code == 0
    assert "Example: dvabatch search" in done.out
