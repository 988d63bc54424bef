"""What a report says of launches, operations and faults, from traces/KEY.jsonl, the records and the config that was given."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from dvabatch_cli.recording import Choice, open_recording
from tests.cli.from_records import NEEDED, nearest_rank

NS_PER_US, NS_PER_S = 1000, 10**9
TOKEN_BYTES = 16  # of a query's row on a latency table: two numbers of eight bytes, for each token where there are any


@dataclass(frozen=True, slots=True)
class Launch:
    id: int
    lane: int
    first: int
    last: int
    buffer_set: int
    query_ids: tuple[int, ...]
    executors: tuple[int, ...]
    after: int | None
    now_ns: int

    @property
    def span(self) -> range:
        return range(self.first, self.last + 1)

    def holds(self, stage: int, executor: int) -> bool:
        return stage in self.span and self.executors[stage - self.first] == executor


@dataclass(slots=True)
class Story:
    """A trace, read as it is written."""

    calls: list[tuple[int, list[Any], list[Any]]]
    launches: dict[int, Launch]
    ended_ns: dict[int, int]  # by launch: finished, failed or lost
    begun_ns: dict[int, int]  # those that were queued begin when the one ahead of them ends
    given_up: set[int]


def story_of(trace: Path) -> Story:
    """The calls of a trace, and from when to when each launch went."""
    story = Story([], {}, {}, {}, set())
    for line in trace.read_text().splitlines()[1:]:
        call = json.loads(line)
        now_ns = call["now_ns"]
        story.calls.append((now_ns, call["events"], call["commands"]))
        for name, *fields in call["events"]:
            if name in {"LaunchFinished", "LaunchFailed"}:
                story.ended_ns[fields[0]] = now_ns
                for launch in story.launches.values():
                    if launch.after == fields[0]:
                        story.begun_ns[launch.id] = now_ns
            elif name in {"ExecutorLost", "DeviceLost"}:
                for launch_id in story.launches.keys() - story.ended_ns.keys():
                    launch = story.launches[launch_id]
                    if name == "DeviceLost" or launch.holds(*fields[:2]) or launch.after in story.given_up:
                        story.ended_ns[launch_id] = now_ns
                        if name == "ExecutorLost" and launch_id in story.begun_ns:
                            story.given_up.add(launch_id)
        for name, *fields in call["commands"]:
            if name == "Launch":
                number, _, lane, first, last, (buffer_set, *_), query_ids, executors, after = fields
                story.launches[number] = Launch(
                    number, lane, first, last, buffer_set, tuple(query_ids), tuple(executors), after, now_ns
                )
                if after is None:
                    story.begun_ns[number] = now_ns
    return story


def of_trace(
    trace: Path,
    records: Sequence[Mapping[str, Any]],
    table: Mapping[str, Any],
    faults: Sequence[Mapping[str, Any]],
    *,
    real: bool,
) -> dict[str, Any]:
    """`table` is the latency table and `faults` those of the config; `real`: nothing was simulated."""
    story = story_of(trace)
    stages = range(len(next(iter(table["lanes"].values()))["stages"]) if "lanes" in table else len(table["stages"]))
    again = {
        "stages": [stage_facts(stage, story, records, table) for stage in stages],
        "operations": operations(trace),
        "served_whole": served_whole(story, len(stages)),
        "reasons": reasons(story),
        "overhead": {
            "device_busy_fraction": Fraction(
                in_flight_ns(story) if real else on_device_ns(story, table), max(each["done_ns"] for each in records)
            ),
            "bytes_copied": bytes_copied(story, table) if real else 0,
            "decision_us": decision_us(trace) if real else None,
        },
    }
    if faults:
        again["faults"] = {"injected": injected(story, faults), "launches_given_up": len(story.given_up)}
    return again


def decision_us(trace: Path) -> dict[str, Fraction | None]:
    """How long the machine took for its answers, in microseconds."""
    took_ns = sorted(json.loads(line)["took_ns"] for line in trace.read_text().splitlines()[1:])
    shares = {"p50": Fraction(1, 2), "p99": Fraction(99, 100)}
    return {
        name: Fraction(nearest_rank(took_ns, share), NS_PER_US) if len(took_ns) >= NEEDED[name] else None
        for name, share in shares.items()
    }


def stage_facts(
    stage: int, story: Story, records: Sequence[Mapping[str, Any]], table: Mapping[str, Any]
) -> dict[str, Any]:
    mine = [launch for launch in story.launches.values() if stage in launch.span]
    sizes = Counter(len(launch.query_ids) for launch in mine)
    exist = table.get("batch_sizes")
    computed, useful = 0, Fraction(0)
    for launch in mine:
        rows = len(launch.query_ids)
        computed += rows if exist is None else min(size for size in exist if size >= rows)
        if "lanes" in table:
            longest = sorted(map(int, table["lanes"]))[launch.lane]
            useful += Fraction(sum(records[query_id]["length"] for query_id in launch.query_ids), longest)
        else:
            useful += rows
    rows = sum(size * count for size, count in sizes.items())
    return {
        "index": stage,
        "launches": len(mine),
        "mean_batch": Fraction(rows, len(mine)) if mine else None,
        "batch_histogram": {str(size): count for size, count in sorted(sizes.items())},
        "padding_waste": 1 - useful / computed if mine else None,
    }


def operations(trace: Path) -> dict[str, int]:
    """No command says what a batch was made by: the events are given to a fresh machine, which is held to the commands."""
    recording = open_recording(trace, Choice())
    steps = recording.steps(recording.history(), lambda _: None)
    counts = Counter(done.kind for step in steps for done in step.operations)
    return {kind: counts[kind] for kind in ("new", "stretch", "merge", "split", "hold")}


def served_whole(story: Story, stages: int) -> Fraction | None:
    """The share of the answers whose query was in one launch only, through all stages."""
    rode: dict[int, list[int]] = {}
    for launch in story.launches.values():
        for query_id in launch.query_ids:
            rode.setdefault(query_id, []).append(len(launch.span))
    answered = [
        query_id
        for _, _, commands in story.calls
        for name, *fields in commands
        if name == "Deliver"
        for query_id in fields[0]
    ]
    return Fraction(sum(rode[query_id] == [stages] for query_id in answered), len(answered)) if answered else None


def reasons(story: Story) -> dict[str, int]:
    told: Counter[str] = Counter()
    for _, _, commands in story.calls:
        for name, *fields in commands:
            if name == "Fail":
                told[fields[1]] += len(fields[0])
            elif name == "Reject":
                told[fields[1]] += 1
            elif name == "Forget":
                told["cancelled"] += 1
    return dict(told)


def bytes_copied(story: Story, table: Mapping[str, Any]) -> int:
    lanes = sorted(map(int, table.get("lanes", {}))) or [1]
    return sum(
        fields[0][2] * TOKEN_BYTES * lanes[fields[3]]
        for _, _, commands in story.calls
        for name, *fields in commands
        if name == "Copy"
    )


def in_flight_ns(story: Story) -> int:
    """Time with a launch in flight, as the driver sees it."""
    return covered([(launch.now_ns, story.ended_ns[launch.id]) for launch in story.launches.values()])


def on_device_ns(story: Story, table: Mapping[str, Any]) -> int:
    """Time with a launch on the device. Before, the host takes the table's time, but not for one that was queued."""
    pieces = []
    for number, begun_ns in story.begun_ns.items():
        launch = story.launches[number]
        host_us = table.get("boundary_us" if launch.first else "launch_us", 0) if launch.after is None else 0
        if number not in story.given_up:  # those hang before they come to the device
            pieces.append((begun_ns + round(host_us * NS_PER_US), story.ended_ns[number]))
    return covered(pieces)


def covered(pieces: Sequence[tuple[int, int]]) -> int:
    """How long at least one of them lasts."""
    total = until = 0
    for begin, end in sorted(pieces):
        total += max(0, end - max(begin, until))
        until = max(until, end)
    return total


def injected(story: Story, faults: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What shows of the config's faults in the events. A slow launch shows in its time only, and is told by the config."""
    events = [event for _, events, _ in story.calls for event in events]
    slow = {
        launch.id
        for launch in story.launches.values()
        for fault in faults
        if fault["kind"] == "slow"
        if fault["stage"] in launch.span and launch.id not in story.given_up
        if fault["from_s"] * NS_PER_S <= launch.now_ns < fault["until_s"] * NS_PER_S
    }
    return {
        "slow": len(slow),
        "fail": sum(name == "LaunchFailed" and fields[-1].endswith("(injected)") for name, *fields in events),
        "hang": len(story.given_up),
        "cancel": sum(name == "QueryCancelled" for name, *_ in events),
        "deadline": sum(name == "QueryArrived" and fields[0][3] is not None for name, *fields in events),
        "device_lost": sum(name == "DeviceLost" for name, *_ in events),
    }
