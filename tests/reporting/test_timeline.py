"""A timeline is what Chrome's form asks for, and counts what the report counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from dvabatch.batching.events import ExecutorLost, LaunchFailed, LaunchFinished, QueryArrived, QueryCancelled
from dvabatch.batching.history import History, Step
from dvabatch.batching.limits import Limits
from dvabatch.batching.operations import Advance, New
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.reporting import timeline
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.perfetto import chunks
from dvabatch.reporting.timeline import Counts, Timeline, Window
from tests.batching.scripted import Script
from tests.reporting.chrome import ns, validate
from tests.runtime.recorded import LIMITS, POLICIES, QUERIES, recorded

SMALL = Limits(2, 4, executors_per_stage=2)
PROFILE = Profile.from_table({"stages": [{"latency_ms": {"1": 1.0, "8": 2.0}, "share": {"1": 0.5}}] * 2})


def drawn(steps: Iterable[Step], limits: Limits, profile: Profile, window: Window | None = None) -> tuple[Any, Counts]:
    """The file's document, which is sound, and what was counted."""
    line = Timeline(limits, profile, window)
    document = json.loads(b"".join(chunks(line.events(steps), dict)))
    validate(document)
    return document["traceEvents"], line.counts


def of(events: list[Any], phase: str) -> list[Any]:
    return [event for event in events if event["ph"] == phase]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_the_counts_are_those_of_the_run(name: str, share: float) -> None:
    run = recorded(name, share)
    events, counts = drawn(run.steps(), LIMITS, run.profile)
    instants = Counter(event["name"] for event in of(events, "i"))
    assert {kind: instants[kind] for kind in run.operations} == run.operations
    launches = Counter(event["pid"] - 2 for event in of(events, "X"))
    assert [launches[stage] for stage in range(LIMITS.stages)] == run.launches()
    assert (counts.operations, counts.launches, counts.queries) == (instants, launches, QUERIES)
    assert {event["id"] for event in of(events, "s")} == set(range(QUERIES))
    assert counts.span_ns == max(run.journal.done_ns)


@pytest.mark.parametrize("name", POLICIES)
def test_every_flow_goes_from_a_querys_first_launch_to_its_end(name: str) -> None:
    run = recorded(name)
    events, _ = drawn(run.steps(), LIMITS, run.profile)
    by_query = {
        query_id: [e for e in of(events, "X") if query_id in e["args"]["queries"]] for query_id in range(QUERIES)
    }
    ends = {event["id"]: event for event in of(events, "f")}
    for event in of(events, "s"):
        own = by_query[event["id"]]
        assert ns(event["ts"]) == min(ns(each["ts"]) for each in own)
        assert ns(ends[event["id"]]["ts"]) + 1 == run.journal.done_ns[event["id"]]
        assert ends[event["id"]]["pid"] == 1 + LIMITS.stages


def test_counters_say_who_waits_and_what_is_in_flight() -> None:
    run = recorded("LOAD_DVA", 0.1)
    events, _ = drawn(run.steps(), LIMITS, run.profile)
    told = [
        (f"{event['name']} {of_it}", ns(event["ts"]), value)
        for event in of(events, "C")
        for of_it, value in event["args"].items()
    ]
    last = {name: value for name, _, value in told}
    assert last == {"queries waiting to enter": 0, "launches in flight": 0, "device share": 0}
    flying = 0
    at: dict[int, int] = {}
    for step in run.steps():
        flying += len(step.started) - len(step.ended)
        at[step.now_ns] = flying
    for name, now_ns, value in told:
        if name == "launches in flight":
            assert value == at[now_ns]
        elif name == "device share":
            assert value == pytest.approx(0.1 * at[now_ns])


def test_a_window_holds_what_begins_in_it() -> None:
    run = recorded("HYBRID_DVA", 0.1)
    whole, _ = drawn(run.steps(), LIMITS, run.profile)
    window = Window(10_000_000, 20_000_000)
    part, counts = drawn(run.steps(), LIMITS, run.profile, window)
    for phase in "Xi":
        wanted = [event for event in of(whole, phase) if ns(event["ts"]) in window]
        assert of(part, phase) == wanted
        assert wanted
    assert sum(counts.operations.values()) == len(of(part, "i"))
    assert counts.span_ns < max(run.journal.done_ns), "what comes after the window is not replayed"
    assert not window.is_whole


@pytest.mark.parametrize(("begin_ns", "end_ns"), [(5, 5), (6, 5), (-1, 5)])
def test_an_empty_window_is_refused(begin_ns: int, end_ns: int) -> None:
    with pytest.raises(ReportError, match="it holds nothing"):
        Window(begin_ns, end_ns)


def test_more_queries_than_viewers_open_are_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_QUERIES", 100)
    run = recorded("NORMAL")
    with pytest.raises(ReportError, match=r"more than 100 queries.* --from 0 --until 0\.0\d\d"):
        drawn(run.steps(), LIMITS, run.profile)
    drawn(run.steps(), LIMITS, run.profile, Window(0, 10_000_000))


def told(*calls: tuple[int, list[Any], list[Any]]) -> list[Step]:
    script = Script()
    history, steps = History(SMALL, PROFILE, script), []
    for now_ns, events, operations in calls:
        script.say = operations
        steps.append(history.step(events, now_ns))
    return steps


def arrivals(*ids: int) -> list[QueryArrived]:
    return [QueryArrived(Query(query_id, 0)) for query_id in ids]


def test_a_launch_that_spans_stages_is_a_slice_on_each_of_its_executors() -> None:
    steps = told((0, arrivals(0, 1), [New(0, (0, 1)), Advance(0, 1)]), (2_000, [LaunchFinished(0)], []))
    events, _ = drawn(steps, SMALL, PROFILE)
    first, second = of(events, "X")
    assert {**first, "pid": second["pid"], "tid": second["tid"]} == second
    assert first["args"] == {
        "launch": 0, "batch": 0, "stages": [0, 1], "lane": None, "buffer_set": 0, "first_row": 0, "outcome": "finished",
        "queries": [0, 1],
    }  # fmt: skip
    assert [(e["pid"], e["ts"]) for e in of(events, "s")] == [(2, 0), (2, 0)]
    assert [(e["pid"], e["ts"]) for e in of(events, "f")] == [(3, 1.999), (3, 1.999)]


def test_what_got_no_answer_is_said_with_its_reason() -> None:
    steps = told(
        (0, arrivals(0, 1, 2), [New(0, (0,)), Advance(0, 0)]),
        (5_000, [LaunchFailed(0, "broke")], []),
        (6_000, [QueryCancelled(1)], []),
    )
    events, _ = drawn(steps, SMALL, PROFILE)
    said = [(event["name"], event["args"]) for event in of(events, "i") if event["name"] != "new"]
    assert said == [("failed", {"queries": [0], "why": "broke"}), ("cancelled", {"queries": [1]})]
    assert of(events, "X")[0]["args"]["outcome"] == "failed"


def test_what_never_began_is_no_slice_and_is_counted_apart() -> None:
    """The report counts launches as they are commanded."""
    steps = told((0, arrivals(0, 1), [New(0, (0,)), Advance(0, 0), New(0, (1,)), Advance(1, 0, behind=0)]))
    (launch,) = steps[0].started
    more = told(
        (0, arrivals(0, 1), [New(0, (0,)), Advance(0, 0), New(0, (1,)), Advance(1, 0, behind=0)]),
        (7_000, [ExecutorLost(0, launch.executors[0], "gone")], []),
    )
    events, counts = drawn(more, SMALL, PROFILE)
    assert [event["args"]["launch"] for event in of(events, "X")] == [0]
    assert counts.never_began == {0: 1}


def test_what_is_open_when_the_record_ends_is_drawn_to_there() -> None:
    steps = told((0, arrivals(0), [New(0, (0,)), Advance(0, 0)]), (3_000, arrivals(1), []))
    events, _ = drawn(steps, SMALL, PROFILE)
    (piece,) = of(events, "X")
    assert (piece["dur"], piece["args"]["outcome"]) == (3, "open at the end")
    assert len(of(events, "f")) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"ph": "X", "name": "a", "cat": "launch", "pid": 2, "tid": 1, "ts": 1.0, "dur": 1.0, "args": {"queries": []}},
        {"ph": "s", "name": "query", "cat": "query", "id": 9, "pid": 2, "tid": 1, "ts": 0.5},
        {"ph": "f", "name": "query", "cat": "query", "id": 0, "pid": 2, "tid": 1, "ts": 0.5, "bp": "e"},
        {"ph": "i", "name": "new", "cat": "batching", "s": "t", "pid": 2, "tid": 9, "ts": 0, "args": {}},
        {"ph": "X", "name": "a", "cat": "launch", "pid": 2, "tid": 1, "ts": 5.0, "args": {"queries": []}},
    ],
    ids=["overlap", "begins nowhere", "ends twice", "no such track", "no duration"],
)
def test_the_validator_sees_what_is_wrong(wrong: dict[str, Any]) -> None:
    steps = told((0, arrivals(0), [New(0, (0,)), Advance(0, 1)]), (2_000, [LaunchFinished(0)], []))
    document = json.loads(b"".join(chunks(Timeline(SMALL, PROFILE).events(steps), dict)))
    validate(document)
    document["traceEvents"].append(wrong)
    with pytest.raises((AssertionError, KeyError)):
        validate(document)
