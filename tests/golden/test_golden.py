"""A committed run: the machine of today decides as it did, byte for byte."""

from __future__ import annotations

import json

import pytest

from dvabatch.runtime.trace import TraceError, replay
from tests.golden.recording import GOLDEN, machine, record

RENEW = "if this change of decisions is meant: python -m tests.golden.recording"


def test_the_golden_trace_replays_into_a_fresh_machine() -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True)
    calls = 0
    for number, recorded, given_now in replay(lines, machine()):
        assert given_now == recorded, f"{GOLDEN.name}:{number}: {RENEW}"
        calls += 1
    assert calls == len(lines) - 1


def test_the_simulator_makes_the_same_run_again() -> None:
    """Device model and driver included: the same instants, too."""
    assert record() == GOLDEN.read_text(encoding="utf-8"), RENEW


def test_the_golden_run_has_seen_something_of_everything() -> None:
    fresh = machine()
    lines = GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True)
    commands = [command for _, _, given_now in replay(lines, fresh) for command in json.loads(given_now)]
    kinds = {command[0] for command in commands}
    assert kinds >= {"Launch", "Copy", "Deliver", "Reject"}
    assert {command[2].split(" ")[0] for command in commands if command[0] == "Reject"} == {
        "length",
        "queue",
        "deadline",
    }
    assert min(fresh.operations.values()) > 0
    events = sum(len(json.loads(line)["events"]) for line in lines[1:])
    assert 250 <= events <= 600


def test_a_trace_of_another_machine_is_refused() -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True)
    header = lines[0].replace("[3,8,4,2,", "[3,8,4,3,")
    assert header != lines[0]
    with pytest.raises(TraceError, match="the trace was recorded with"):
        next(replay([header, *lines[1:]], machine()))


def test_a_changed_decision_shows() -> None:
    """The replay can fail: an arrival that comes a nanosecond later is another run."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if '"Launch"' in line and '"QueryArrived"' in line)
    changed = json.loads(lines[number])
    changed["events"] = [event for event in changed["events"] if event[0] != "QueryArrived"]
    lines[number] = json.dumps(changed)
    recorded, given_now = next((r, g) for n, r, g in replay(lines, machine()) if n == number + 1)
    assert given_now != recorded
