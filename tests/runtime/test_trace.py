"""The recorded trace: what it holds can be read back, and nothing else is taken for one."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from dvabatch.batching.events import (
    DeviceLost,
    Event,
    ExecutorLost,
    HostPaced,
    LaunchFailed,
    LaunchFinished,
    QueryArrived,
    QueryCancelled,
    TimerFired,
)
from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.runtime import trace
from dvabatch.runtime.trace import Recorder, TraceError, decode_event, encode, read_profile, retrace
from tests.runtime.rig import quick_table

ROOT = Path(__file__).resolve().parents[2]
EVENTS: list[Event] = [
    QueryArrived(Query(3, 17)),
    QueryArrived(Query(4, 18, 96, 4000)),
    QueryCancelled(3),
    LaunchFinished(5),
    LaunchFailed(6, 'it\'s "hot" — 100 %'),
    ExecutorLost(1, 2, "gone"),
    DeviceLost("gone"),
    HostPaced(140),
    TimerFired(),
]


def machine(max_batch: int = 4, delay_ns: int = 0) -> Machine:
    profile, _ = quick_table(2, 8)
    return Machine(Limits(2, max_batch), profile, Normal(FillOrWait(max_batch, delay_ns, 1)))


def recorded(took_ns: int | None = None) -> str:
    sink, recording = io.StringIO(), machine()
    recorder = Recorder(recording, sink)
    for now_ns, events in ((5, [QueryArrived(Query(0, 5))]), (9, [LaunchFinished(0)])):
        recorder.record(now_ns, events, recording.handle(events, now_ns), took_ns)
    return sink.getvalue()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert decode_event(json.loads(json.dumps(encode(event)))) == event


@pytest.mark.parametrize("entry", [[], ["Launch", 1], ["QueryArrived", [1, 2, 0]], ["TimerFired", 1], [None], [["x"]]])
def test_what_is_no_event_is_refused(entry: list[object]) -> None:
    with pytest.raises(TraceError, match="is no event"):
        decode_event(entry)


def history(of: Machine) -> History:
    return History(of.limits, of.profile, of.policy)


@pytest.mark.parametrize("took_ns", [None, 0, 1234])
def test_a_trace_replays(took_ns: int | None) -> None:
    steps = list(retrace(io.StringIO(recorded(took_ns)), history(machine())))
    assert [step.now_ns for step in steps] == [5, 9]
    assert [type(command).__name__ for step in steps for command in step.commands] == ["Launch", "Deliver"]
    assert [done.kind for step in steps for done in step.operations] == ["new"]


@pytest.mark.parametrize("other", [machine(max_batch=3), machine(delay_ns=1)])
def test_a_trace_of_another_machine_is_refused(other: Machine) -> None:
    with pytest.raises(TraceError, match="the trace was recorded with"):
        list(retrace(io.StringIO(recorded()), history(other)))


def test_a_trace_says_every_limit() -> None:
    """What is off, too: a limit that is left out would be another one's to guess."""
    header = json.loads(recorded().splitlines()[0])
    assert header["limits"] == [2, 4, 8, 4, [None], None, False]


@pytest.mark.parametrize("damage", ["", "{", '{"now_ns": 1}', "[]", "null"])
def test_a_damaged_line_is_named(damage: str) -> None:
    lines = recorded().splitlines(keepends=True)
    with pytest.raises(TraceError, match="line 3 is damaged" if damage else "line 3"):
        list(retrace([*lines[:2], f"{damage}\n"], history(machine())))


def test_an_empty_file_is_no_trace() -> None:
    with pytest.raises(TraceError, match="recorded with nothing"):
        list(retrace([], history(machine())))


@pytest.mark.parametrize(
    "entry",
    [
        ["LaunchFinished", "5"],
        ["LaunchFinished", True],
        ["LaunchFailed", 6, None],
        ["LaunchFinished"],
        ["QueryArrived", 5],
        ["QueryArrived", []],
        ["QueryArrived", [1]],
        ["QueryArrived", [1, -2]],
        ["QueryArrived", [1, 2, "3"]],
        ["QueryArrived", [1, 2, 3, 4, 5]],
        ["TimerFired", [1]],
        [["TimerFired"]],
        None,
        7,
    ],
)
def test_values_of_another_type_are_refused_before_the_machine_sees_them(entry: Any) -> None:
    with pytest.raises(TraceError, match="is no event"):
        decode_event(entry)


def test_another_machine_is_refused_by_the_facts_that_differ() -> None:
    with pytest.raises(TraceError, match=r"limits \[2, 4, .*the machine has \[2, 3,") as caught:
        list(retrace(recorded().splitlines(keepends=True), history(machine(max_batch=3))))
    assert "latency_ms" not in str(caught.value)
    assert "trace 2" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"Deliver",[0]', '"Deliver",[1]', "line 3 does not replay: recorded was"),
        ('"now_ns":9', '"now_ns":9.0', "line 3 is damaged: now_ns is 9.0"),
        ('"now_ns":9', '"took_ns":-1,"now_ns":9', "line 3 is damaged: took_ns is -1"),
        ('"now_ns":9', '"took_ns":true,"now_ns":9', "line 3 is damaged: took_ns is True"),
        ('"now_ns":9', '"took_ns":7,"now_ns":9', "line 3 does not replay"),
        ('"now_ns":9', '"now_ns":4', "line 3 cannot have happened: time ran backwards"),
        ('"LaunchFinished",0', '"LaunchFinished",1', "line 3 cannot have happened: launch 1 ended"),
        ('"now_ns":9,', '"now_ns": 9,', "line 3 does not replay"),
    ],
)
def test_a_changed_trace_is_refused_at_its_line(old: str, new: str, message: str) -> None:
    changed = recorded().replace(old, new)
    assert changed != recorded()
    with pytest.raises(TraceError, match=message):
        list(retrace(changed.splitlines(keepends=True), history(machine())))


def test_a_line_of_any_length_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MAX_LINE_CHARS", 50)
    with pytest.raises(TraceError, match="line 2 is damaged: it is longer than 50 characters"):
        list(retrace(recorded().splitlines(keepends=True), history(machine())))


def test_a_header_holds_the_whole_profile() -> None:
    header = recorded().splitlines(keepends=True)[0]
    assert read_profile(header).digest == machine().profile.digest


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "tables").glob("*.json")), ids=lambda file: file.stem)
def test_a_profile_comes_back_as_it_was(file: Path) -> None:
    """To the last digit, which a report does not keep."""
    profile = Profile.from_table(json.loads(file.read_text())).at_speed(1.0123456789012345)
    sink, lanes = io.StringIO(), profile.lanes
    Recorder(Machine(Limits(profile.stages, 4, lanes=lanes), profile, Normal(FillOrWait(4, 0, 1))), sink)
    assert read_profile(sink.getvalue()).digest == profile.digest


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "line 1 is no header"),
        ("[]", "line 1 is no header"),
        ("{}", "line 1 is no header"),
        ('{"trace":1}', "form 1, this version reads form 2: record it again"),
        ('{"trace":2,"table":{"stages":[]}}', "line 1 is no header"),
        ('{"trace":2,"table":{"stages":[{"latency_ms":{"1e9":1}}]}}', "goes to batch 1e\\+09, wanted at most"),
        ('{"trace":2,"table":{"stages":[{"latency_ms":{"nan":1}}]}}', "line 1 is no header"),
        ('{"trace":2,"table":{"lanes":{"8":{"stages":[{"latency_ms":7}]}}}}', "line 1 is no header"),
        ('{"trace":2,"table":' + "[" * 100_000, "line 1 is no header"),
    ],
    ids=["empty", "list", "nothing", "old", "no stages", "huge", "nan", "no curve", "deep"],
)
def test_what_is_no_header_is_refused(header: str, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        read_profile(header)
