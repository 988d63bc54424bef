"""What Chrome's trace event form asks of a file, as far as a timeline of ours uses it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

_NEEDED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "M": {"name": str, "args": dict},
    "X": {"name": str, "cat": str, "dur": (int, float), "args": dict},
    "i": {"name": str, "cat": str, "s": str, "args": dict},
    "C": {"name": str, "args": dict},
    "s": {"name": str, "cat": str, "id": int},
    "t": {"name": str, "cat": str, "id": int},
    "f": {"name": str, "cat": str, "id": int, "bp": str},
}
Track = tuple[int, int]


def ns(us: float) -> int:
    """Microseconds of the file as whole nanoseconds."""
    return round(us * 1e3)


def validate(document: Mapping[str, Any]) -> None:
    """Raises AssertionError, naming what a viewer would not take or would draw wrongly."""
    assert set(document) == {"displayTimeUnit", "traceEvents", "otherData"}
    events = document["traceEvents"]
    for event in events:
        assert event["ph"] in _NEEDED, event
        for name, kind in {"pid": int, "tid": int, "ts": (int, float), **_NEEDED[event["ph"]]}.items():
            assert isinstance(event[name], kind), (name, event)  # type: ignore[arg-type]
        assert event["ts"] >= 0
        assert event["pid"] > 0, "process 0 is the idle one to some viewers"
    slices = _slices(events)
    _tracks_have_names(events)
    _flows_stand_on_slices(events, slices)
    for event in events:
        if event["ph"] == "C":
            assert all(isinstance(value, (int, float)) for value in event["args"].values())
        elif event["ph"] == "i":
            assert event["s"] == "t"


def _slices(events: Sequence[Mapping[str, Any]]) -> dict[Track, list[Mapping[str, Any]]]:
    """By track, in order; none of them overlaps another."""
    tracks: dict[Track, list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    for track, found in tracks.items():
        found.sort(key=lambda event: (event["ts"], event["dur"]))
        for one, other in pairwise(found):
            assert ns(one["ts"]) + ns(one["dur"]) <= ns(other["ts"]), (track, one, other)
    return tracks


def _tracks_have_names(events: Sequence[Mapping[str, Any]]) -> None:
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    processes = {event["pid"] for event in events if event["name"] == "process_name"}
    for event in events:
        assert event["pid"] in processes, event
        assert event["ph"] in "MC" or (event["pid"], event["tid"]) in named, event


def _flows_stand_on_slices(
    events: Sequence[Mapping[str, Any]], slices: Mapping[Track, Sequence[Mapping[str, Any]]]
) -> None:
    """Each query's flow begins once, ends once, goes forward in time, and each point lies on a launch of that query."""
    flows: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        if event["ph"] in "stf":
            flows[event["id"]].append(event)
    for query_id, points in flows.items():
        points.sort(key=lambda event: event["ts"])
        assert [point["ph"] for point in points] == ["s", *"t" * (len(points) - 2), "f"], points
        assert len({(point["name"], point["cat"]) for point in points}) == 1
        for point in points:
            assert any(
                event["ts"] <= point["ts"] and ns(point["ts"]) < ns(event["ts"]) + ns(event["dur"])
                and query_id in event["args"]["queries"]
                for event in slices[point["pid"], point["tid"]]
            ), point  # fmt: skip
