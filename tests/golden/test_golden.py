"""A committed run: the machine of today decides as it did, byte for byte."""

from __future__ import annotations

import json

import pytest

from dvabatch.batching.commands import Reject
from dvabatch.batching.history import History
from dvabatch.runtime.trace import TraceError, retrace
from tests.golden.recording import GOLDEN, machine, record

RENEW = "if this change of decisions is meant: python -m tests.golden.recording"


def history() -> History:
    fresh = machine()
    return History(fresh.limits, fresh.profile, fresh.policy)


def test_the_golden_trace_replays_into_a_fresh_machine() -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        assert len(list(retrace(lines, history()))) == len(lines) - 1
    except TraceError as error:
        pytest.fail(f"{GOLDEN.name}: {error}: {RENEW}")


def test_the_simulator_makes_the_same_run_again() -> None:
    """Device model and driver included: the same instants, too."""
    assert record() == GOLDEN.read_text(encoding="utf-8"), RENEW


def test_the_golden_run_has_seen_something_of_everything() -> None:
    fresh = history()
    steps = list(retrace(GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True), fresh))
    commands = [command for step in steps for command in step.commands]
    assert {type(command).__name__ for command in commands} >= {"Launch", "Copy", "Deliver", "Reject"}
    reasons = {command.reason.split(" ")[0] for command in commands if type(command) is Reject}
    assert reasons == {"length", "queue", "deadline"}
    assert min(fresh.machine.operations.values()) > 0
    assert 250 <= sum(len(step.events) for step in steps) <= 600


def test_a_trace_of_another_machine_is_refused() -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True)
    header = lines[0].replace("[3,8,4,2,", "[3,8,4,3,")
    assert header != lines[0]
    with pytest.raises(TraceError, match="the trace was recorded with"):
        next(retrace([header, *lines[1:]], history()))


def test_a_changed_decision_shows() -> None:
    """The replay can fail: without an arrival it is another run."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if '"Launch"' in line and '"QueryArrived"' in line)
    changed = json.loads(lines[number])
    changed["events"] = [event for event in changed["events"] if event[0] != "QueryArrived"]
    lines[number] = json.dumps(changed, separators=(",", ":")) + "\n"
    with pytest.raises(TraceError, match=f"line {number + 1} does not replay"):
        list(retrace(lines, history()))
