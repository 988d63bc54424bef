"""Events: what happened. Drivers report them; the machine applies those of one instant in a fixed order.

The two that every query brings are named tuples, which are made much faster than frozen dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dvabatch.batching.query import Query


class QueryArrived(NamedTuple):
    """A query is due. Ids rise from arrival to arrival."""

    query: Query


@dataclass(frozen=True, slots=True)
class QueryCancelled:
    """Nobody waits for this query any more. Harmless if it has ended."""

    query_id: int


class LaunchFinished(NamedTuple):
    """The device completed a launch (completed, not merely accepted). Harmless if that launch was lost."""

    launch_id: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """A launch ended without a result; its executors and rows are sound."""

    launch_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutorAdded:
    """A fresh executor of a stage takes over from one that is lost, under the stage's next index: no index is used again."""

    stage: int
    index: int


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
class HostPaced:
    """From now on what the host does for launches takes so many percent of what it took while the profile was measured."""

    percent: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The instant asked for by `WakeAt` has come. Harmless if it is stale."""


Event: TypeAlias = (
    LaunchFinished
    | LaunchFailed
    | ExecutorAdded
    | ExecutorLost
    | DeviceLost
    | HostPaced
    | QueryArrived
    | QueryCancelled
    | TimerFired
)

# Completions before arrivals, so that a batch opened now finds every executor that is free now; then by id. A successor comes
# before the loss that it makes good, so that a stage with one executor is never without.
_RANK: dict[type, int] = {
    LaunchFinished: 0,
    LaunchFailed: 0,
    ExecutorAdded: 1,
    ExecutorLost: 2,
    DeviceLost: 3,
    HostPaced: 4,
    QueryArrived: 5,
    QueryCancelled: 6,
    TimerFired: 7,
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
    if isinstance(event, (ExecutorAdded, ExecutorLost)):
        return rank, event.stage, event.index
    return rank, 0, 0
