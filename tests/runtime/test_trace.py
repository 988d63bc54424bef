"""The recorded trace: what it holds can be read back, and nothing else is taken for one."""

from __future__ import annotations

import io
import json

import pytest

from dvabatch.batching.events import (
    DeviceLost,
    Event,
    ExecutorLost,
    LaunchFailed,
    LaunchFinished,
    QueryArrived,
    QueryCancelled,
    TimerFired,
)
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.query import Query
from dvabatch.runtime.trace import Recorder, TraceError, decode_event, encode, replay
from tests.runtime.rig import quick_table

EVENTS: list[Event] = [
    QueryArrived(Query(3, 17)),
    QueryArrived(Query(4, 18, 96, 4000)),
    QueryCancelled(3),
    LaunchFinished(5),
    LaunchFailed(6, 'it\'s "hot" — 100 %'),
    ExecutorLost(1, 2, "gone"),
    DeviceLost("gone"),
    TimerFired(),
]


def machine(max_batch: int = 4, delay_ns: int = 0) -> Machine:
    profile, _ = quick_table(2, 8)
    return Machine(Limits(2, max_batch), profile, Normal(FillOrWait(max_batch, delay_ns, 1)))


def recorded() -> str:
    sink, recording = io.StringIO(), machine()
    recorder = Recorder(recording, sink)
    for now_ns, events in ((5, [QueryArrived(Query(0, 5))]), (9, [LaunchFinished(0)])):
        recorder.record(now_ns, events, recording.handle(events, now_ns))
    return sink.getvalue()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert decode_event(json.loads(json.dumps(encode(event)))) == event


@pytest.mark.parametrize("entry", [[], ["Launch", 1], ["QueryArrived", [1, 2, 0]], ["TimerFired", 1], [None], [["x"]]])
def test_what_is_no_event_is_refused(entry: list[object]) -> None:
    with pytest.raises(TraceError, match="is no event"):
        decode_event(entry)


def test_a_trace_replays() -> None:
    calls = list(replay(io.StringIO(recorded()), machine()))
    assert [number for number, _, _ in calls] == [2, 3]
    assert all(before == now for _, before, now in calls)
    assert [json.loads(before)[0][0] for _, before, _ in calls] == ["Launch", "Deliver"]


@pytest.mark.parametrize("other", [machine(max_batch=3), machine(delay_ns=1)])
def test_a_trace_of_another_machine_is_refused(other: Machine) -> None:
    with pytest.raises(TraceError, match="the trace was recorded with"):
        list(replay(io.StringIO(recorded()), other))


@pytest.mark.parametrize("damage", ["", "{", '{"now_ns": 1}', "[]", "null"])
def test_a_damaged_line_is_named(damage: str) -> None:
    lines = recorded().splitlines(keepends=True)
    with pytest.raises(TraceError, match="line 3 is damaged" if damage else "line 3"):
        list(replay([*lines[:2], f"{damage}\n"], machine()))


def test_an_empty_file_is_no_trace() -> None:
    with pytest.raises(TraceError, match="recorded with nothing"):
        list(replay([], machine()))
