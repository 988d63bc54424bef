"""A fake clock for policies: launches take what the table says, whatever else runs, and all that happens is written down."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dvabatch.batching.commands import Copy, Deliver, Launch, Reject, WakeAt
from dvabatch.batching.events import Event, LaunchFinished, QueryArrived, TimerFired
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query

MS = 1_000_000


def flat(stages: int, ms: float = 1, most: int = 8, lanes: Mapping[int, float] | None = None) -> Profile:
    """Every stage takes `ms` at any batch size up to `most` (times the lane's factor, by longest length)."""

    def stage(factor: float) -> list[dict[str, object]]:
        return [{"latency_ms": {"1": ms * factor, str(most): ms * factor}}] * stages

    if lanes is None:
        return Profile.from_table({"name": "flat", "stages": stage(1)})
    table = {str(length): {"stages": stage(factor)} for length, factor in lanes.items()}
    return Profile.from_table({"name": "flat", "lanes": table})


@dataclass(frozen=True, slots=True)
class Ran:
    """One launch: when, which batch, which stages, who."""

    at_ms: float
    batch: int
    first: int
    last: int
    ids: tuple[int, ...]
    lane: int = 0


@dataclass(slots=True)
class Timeline:
    launches: list[Ran]
    places: list[tuple[int, int]]  # (buffer set, first row) of each launch
    done_ms: dict[int, float]
    rejected: dict[int, str]
    copies: list[Copy]
    wakes_ms: list[float]
    operations: dict[str, int]

    def ran(self) -> list[tuple[float, int, int, int, tuple[int, ...]]]:
        """(at_ms, batch, first, last, ids) of every launch in order: what most tests compare."""
        return [(run.at_ms, run.batch, run.first, run.last, run.ids) for run in self.launches]

    def of(self, batch: int) -> list[tuple[float, int, int, tuple[int, ...]]]:
        return [(run.at_ms, run.first, run.last, run.ids) for run in self.launches if run.batch == batch]


def play(
    limits: Limits,
    profile: Profile,
    policy: Policy,
    arrivals_ms: Sequence[float],
    lengths: Sequence[int | None] | None = None,
) -> Timeline:
    """Query i arrives at `arrivals_ms[i]`; plays until everything has ended."""
    machine = Machine(limits, profile, policy, debug=True)
    line = Timeline([], [], {}, {}, [], [], machine.operations)
    own: Sequence[int | None] = lengths or [None] * len(arrivals_ms)
    agenda: list[tuple[int, int, int]] = [(round(ms * MS), 1, i) for i, ms in enumerate(arrivals_ms)]
    heapq.heapify(agenda)
    while agenda or machine.wake_ns is not None:
        wake_ns = machine.wake_ns
        now_ns = min([entry[0] for entry in agenda[:1]] + ([] if wake_ns is None else [wake_ns]))
        events: list[Event] = [TimerFired()] if wake_ns == now_ns else []
        while agenda and agenda[0][0] == now_ns:
            _, kind, number = heapq.heappop(agenda)
            events.append(QueryArrived(Query(number, now_ns, own[number])) if kind else LaunchFinished(number))
        at_ms = now_ns / MS
        for command in machine.handle(events, now_ns):
            if isinstance(command, Launch):
                rows = len(command.query_ids)
                takes_ns = profile.span_ns(command.first_stage, command.last_stage, rows, command.lane)
                heapq.heappush(agenda, (now_ns + takes_ns, 0, command.id))
                line.launches.append(
                    Ran(
                        at_ms,
                        command.batch_id,
                        command.first_stage,
                        command.last_stage,
                        command.query_ids,
                        command.lane,
                    )
                )
                line.places.append((command.place.buffer_set, command.place.first_row))
            elif isinstance(command, Deliver):
                line.done_ms.update(dict.fromkeys(command.query_ids, at_ms))
            elif isinstance(command, Reject):
                line.rejected[command.query_id] = command.reason
            elif isinstance(command, Copy):
                line.copies.append(command)
            elif isinstance(command, WakeAt):
                line.wakes_ms.append(command.at_ns / MS)
            else:
                raise AssertionError(f"{command} in a run without faults")
    assert machine.idle
    return line
