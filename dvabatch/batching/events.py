"""Events: what happened. Drivers report them; the machine applies those of one instant in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dvabatch.batching.query import Query


@dataclass(frozen=True, slots=True)
class QueryArrived:
    """A query is due. Ids rise from arrival to arrival."""

    query: Query


@dataclass(frozen=True, slots=True)
class QueryCancelled:
    """Nobody waits for this query any more. Harmless if it has ended."""

    query_id: int


@dataclass(frozen=True, slots=True)
class LaunchFinished:
    """The device completed a launch (completed, not merely accepted). Harmless if that launch was lost."""

    launch_id: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """A launch ended without a result; its executors and rows are sound."""

    launch_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutorLost:
    """An executor will never answer: whatever it was running is lost with the rows it may still write."""

    stage: int
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """Nothing will ever run again."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The instant asked for by `WakeAt` has come. Harmless if it is stale."""


Event: TypeAlias = (
    LaunchFinished | LaunchFailed | ExecutorLost | DeviceLost | QueryArrived | QueryCancelled | TimerFired
)

# Completions before arrivals, so that a batch opened now finds every executor that is free now; then by id.
_RANK: dict[type, int] = {
    LaunchFinished: 0,
    LaunchFailed: 0,
    ExecutorLost: 1,
    DeviceLost: 2,
    QueryArrived: 3,
    QueryCancelled: 4,
    TimerFired: 5,
}


def instant_order(event: Event) -> tuple[int, int, int]:
    """The key by which events of one instant are applied."""
    rank = _RANK[type(event)]
    if isinstance(event, QueryArrived):
        return rank, event.query.id, 0
    if isinstance(event, (LaunchFinished, LaunchFailed)):
        return rank, event.launch_id, 0
    if isinstance(event, QueryCancelled):
        return rank, event.query_id, 0
    if isinstance(event, ExecutorLost):
        return rank, event.stage, event.index
    return rank, 0, 0
