"""Faults from a config: every kind is in the report, every query is accounted for, and no fault changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dvabatch.batching.history import History
from dvabatch.reporting.measured import Status
from dvabatch.reporting.points import load_points, load_queries
from dvabatch.runtime.trace import retrace
from dvabatch_cli.config import config_of, load_config
from dvabatch_cli.config.policies import AnyPolicy
from dvabatch_cli.faults import faults_of, timeout_ns
from dvabatch_cli.wiring import contender_of, limits_of
from dvabatch_cli.workspace import read_table
from tests.cli.command import ENGINE, LOAD, NORMAL, OPERATOR, dvabatch, ended_well, report_of, table_config

ENGINE_OF_TABLE = {**ENGINE, "backend": "table", "table": "table.json", "launch_timeout_ms": 100}
STEADY = {"process": "constant", "request_rate": 1000, "num_requests": 200}
KINDS: dict[str, dict[str, Any]] = {
    "slow": {"stage": 1, "factor": 4, "from_s": 0.02, "until_s": 0.15},
    "fail": {"stage": 1, "rate": 0.1},
    "hang": {"stage": 0, "launch": 20},
    "cancel": {"rate": 0.1, "after_ms": 0.1},
    "deadline": {"rate": 0.1, "after_ms": 0},
    "device_lost": {"at_s": 0.15},
}
# How its victims end, and why.
ENDS = {
    "fail": ("failed", "stage 1 failed (injected)"),
    "hang": ("failed", "given up: no end after 100 ms"),
    "cancel": ("cancelled", "cancelled"),
    "deadline": ("rejected", "deadline"),
    "device_lost": ("rejected", "device lost: injected"),
}


def faulty(folder: Path, *kinds: str, **sections: Any) -> Path:
    """A config on a latency table with these faults, and room for the queries that fail."""
    folder.mkdir(exist_ok=True)
    usual = {
        "engine": ENGINE_OF_TABLE,
        "load": STEADY,
        "policies": [{**each, "drop_late": "deadline" in kinds} for each in (NORMAL, LOAD)],
        "checks": {"sample": 32, "error_limit": 0.9},
        "faults": [{"kind": kind, **KINDS[kind]} for kind in kinds],
    }
    return table_config(folder, **{**usual, **sections})


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_in_the_report_and_every_query_is_accounted_for(tmp_path: Path, kind: str) -> None:
    done = dvabatch("simulate", faulty(tmp_path, kind), "-o", tmp_path / "out")
    assert done.code == 0, done.err
    for run in report_of(tmp_path / "out")["runs"]:
        injected = run["faults"]["injected"]
        assert injected.pop(kind) > 0
        assert not any(injected.values())
        assert run["faults"]["launches_given_up"] == (kind == "hang")
        assert run["valid"]
        assert sum(run["reasons"].values()) == 200 - run["counts"]["completed"]
        if kind in ENDS:
            how, why = ENDS[kind]
            assert run["counts"][how] > 0
            assert any(why in reason for reason in run["reasons"])
        else:
            assert run["counts"]["completed"] == 200


def test_real_engines_meet_the_same_faults(tmp_path: Path) -> None:
    """The queries that are cancelled or in a hurry are the same, by number; what launches they meet is up to the clock."""
    config = faulty(tmp_path, "slow", "fail", "hang", "deadline", "device_lost", policies=[{**NORMAL, "instances": 2}])
    done = dvabatch("bench", config, "--set", "load.attempts=1", "-o", tmp_path / "real")
    (real,) = report_of(tmp_path / "real")["runs"]
    assert ended_well(done, report_of(tmp_path / "real")), done.err
    dvabatch("simulate", config, "-o", tmp_path / "simulated")
    (simulated,) = report_of(tmp_path / "simulated")["runs"]
    for kind in ("hang", "deadline", "device_lost"):
        assert real["faults"]["injected"][kind] == simulated["faults"]["injected"][kind] > 0
    assert min(real["faults"]["injected"][kind] for kind in ("slow", "fail")) > 0
    assert real["correctness"]["passed"]
    assert real["counts"]["completed"] > 0 < real["counts"]["failed"]
    assert any("device lost" in reason for reason in real["reasons"])


def test_the_same_seed_loses_the_same_queries_under_every_policy(tmp_path: Path) -> None:
    config = faulty(tmp_path, "cancel", policies=[NORMAL, LOAD, OPERATOR], baselines=["untuned"])
    dvabatch("simulate", config, "--set", "faults.0.after_ms=0", "-o", tmp_path / "out")
    lost = {
        tuple((load_queries(tmp_path / "out", file.stem).status == Status.CANCELLED).nonzero()[0].tolist())
        for file in (tmp_path / "out" / "points").glob("[!.]*.json")
    }
    assert len(lost) == 1
    assert 5 < len(lost.pop()) < 40


def lost_to_cancellation(out: Path) -> dict[int, tuple[int, ...]]:
    """By seed, who was cancelled."""
    keys = {run["load"]["seed"]: key for key, run in load_points(out).items()}
    return {
        seed: tuple((load_queries(out, key).status == Status.CANCELLED).nonzero()[0].tolist())
        for seed, key in keys.items()
    }


def test_what_is_drawn_is_drawn_from_the_loads_seed(tmp_path: Path) -> None:
    config = faulty(tmp_path, "cancel", policies=[NORMAL])  # on a load without chance of its own
    for name, seeds in (("both", [1, 2]), ("second", [2])):
        words = ("--set", f"load.seeds={seeds}", "--set", "faults.0.after_ms=0")
        assert dvabatch("simulate", config, *words, "-o", tmp_path / name).code == 0
    both, second = (lost_to_cancellation(tmp_path / name) for name in ("both", "second"))
    assert both[1] != both[2] == second[2]
    assert min(map(len, both.values())) > 0


def test_what_the_guide_says_of_who_is_struck_is_so(tmp_path: Path) -> None:
    """Drawn by the query, under every policy the same; drawn by the launch, others, as policies launch others together."""
    same = set()
    for kind, how in (("cancel", Status.CANCELLED), ("deadline", Status.REJECTED), ("fail", Status.FAILED)):
        config, out = faulty(tmp_path / kind, kind), tmp_path / kind / "out"
        words = ("--set", "faults.0.after_ms=0") if kind != "fail" else ()
        assert dvabatch("simulate", config, *words, "--request-rate", 5000, "-o", out).code == 0
        struck = {tuple((load_queries(out, key).status == how).nonzero()[0].tolist()) for key in load_points(out)}
        assert () not in struck
        same |= {kind} if len(struck) == 1 else set()
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()
    found = re.search(r"`(\w+)` and `(\w+)` strike\s+the\s+same\s+queries", guide)
    assert found is not None
    assert set(found.groups()) == same == {"cancel", "deadline"}


def test_a_simulation_with_faults_is_the_same_byte_for_byte_and_its_trace_replays(tmp_path: Path) -> None:
    path = faulty(tmp_path, *KINDS)
    for name in ("one", "other"):
        assert dvabatch("simulate", path, "--trace", "-o", tmp_path / name).code == 0
    texts = [(tmp_path / name / "report.json").read_bytes() for name in ("one", "other")]
    assert texts[0] == texts[1]
    config, profile = load_config(path), read_table(tmp_path / "table.json")
    traces = sorted((tmp_path / "one" / "traces").glob("*.jsonl"))
    assert len(traces) == len(config.policies)
    for trace in traces:
        assert trace.read_bytes() == (tmp_path / "other" / "traces" / trace.name).read_bytes()
        policy: AnyPolicy = next(each for each in config.policies if trace.name.startswith(each.name))
        contender = contender_of(policy, profile)
        limits = limits_of(config, profile.stages, contender.max_queue, contender.drop_late)
        lines = trace.read_text().splitlines(keepends=True)
        assert len(list(retrace(lines, History(limits, profile, contender.policy)))) == len(lines) - 1
        events = {event[0] for line in lines[1:] for event in json.loads(line)["events"]}
        assert events >= {"ExecutorAdded", "ExecutorLost", "DeviceLost", "LaunchFailed", "QueryCancelled"}


@pytest.mark.parametrize(("limit", "code"), [(0.001, 4), (0.9, 0)])
def test_a_run_in_which_more_fail_than_the_config_allows_is_invalid(tmp_path: Path, limit: float, code: int) -> None:
    config = faulty(tmp_path, "fail", checks={"error_limit": limit})
    assert dvabatch("simulate", config, "-o", tmp_path / "out").code == code
    for run in report_of(tmp_path / "out")["runs"]:
        assert run["valid"] == (code == 0)
        assert run["error_limit"] == limit


def test_what_a_lost_device_refuses_is_no_saturation_and_what_a_full_queue_refuses_is(tmp_path: Path) -> None:
    lost = faulty(tmp_path / "lost", "device_lost")
    full = faulty(tmp_path / "full", policies=[{**NORMAL, "max_batch_size": 1, "max_queue": 1}],
                  load={**STEADY, "request_rate": 20_000})  # fmt: skip
    for config, saturated in ((lost, False), (full, True)):
        dvabatch("simulate", config, "-o", config.parent / "out")
        for run in report_of(config.parent / "out")["runs"]:
            assert run["counts"]["rejected"] > 10
            assert run["saturated"] == saturated


def test_a_launch_that_takes_too_long_is_given_up_without_any_fault(tmp_path: Path) -> None:
    """The table's launches take 0.3 ms; after the fourth there is no buffer set left."""
    config = faulty(tmp_path, policies=[NORMAL], engine={**ENGINE_OF_TABLE, "launch_timeout_ms": 0.25})
    dvabatch("simulate", config, "-o", tmp_path / "out")
    (run,) = report_of(tmp_path / "out")["runs"]
    assert run["faults"] == {"injected": {}, "launches_given_up": 4}
    assert run["counts"]["completed"] == 0
    assert not run["valid"]
    assert any("no buffer set is left" in reason for reason in run["reasons"])


def test_dropping_late_queries_changes_nothing_where_none_is_late(tmp_path: Path) -> None:
    numbers = []
    for drop_late in (False, True):
        config = faulty(tmp_path / str(drop_late), policies=[{**NORMAL, "drop_late": drop_late}],
                        load={**STEADY, "deadline_ms": 1000})  # fmt: skip
        dvabatch("simulate", config, "-o", tmp_path / str(drop_late) / "out")
        (run,) = report_of(tmp_path / str(drop_late) / "out")["runs"]
        assert run["policy"].pop("drop_late") == drop_late
        assert "faults" not in run
        numbers.append(run)
    assert numbers[0] == numbers[1]


def test_dropping_late_queries_answers_more_of_the_others(tmp_path: Path) -> None:
    """A burst that cannot all be served: who is dropped does not hold up who can still make it."""
    burst = {"process": "constant", "request_rate": 50_000, "num_requests": 200, "deadline_ms": 2}
    late: list[float] = []
    for drop_late in (False, True):
        config = faulty(tmp_path / str(drop_late), policies=[{**NORMAL, "drop_late": drop_late}], load=burst)
        dvabatch("simulate", config, "-o", tmp_path / str(drop_late) / "out")
        (run,) = report_of(tmp_path / str(drop_late) / "out")["runs"]
        assert set(run["reasons"]) == {"deadline can no longer be met" if drop_late else "deadline passed before entry"}
        late.append(run["response_ms"]["max"])
    assert late[1] < late[0]


def test_the_shipped_config_shows_every_kind(tmp_path: Path) -> None:
    done = dvabatch("simulate", "faults.json", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    for run in report_of(tmp_path / "out")["runs"]:
        assert all(run["faults"]["injected"].values())
        assert run["faults"]["launches_given_up"] == 1
        assert min(run["counts"][how] for how in ("completed", "rejected", "failed", "cancelled")) > 0


def test_no_faults_and_no_timeout_leave_the_run_alone() -> None:
    raw = {"name": "x", "model": {"network": "tiny_resnet"}, "policies": [NORMAL], "load": {"utilization": 0.5}}
    config = config_of(raw)
    assert faults_of(config, 1) is None
    assert timeout_ns(config) is None
