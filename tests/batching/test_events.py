"""The order of one instant: what ended, what was lost, what came, what was called off, the timer."""

from __future__ import annotations

from itertools import permutations

from dvabatch.batching.events import (
    DeviceLost,
    Event,
    ExecutorAdded,
    ExecutorLost,
    LaunchFailed,
    LaunchFinished,
    QueryArrived,
    QueryCancelled,
    TimerFired,
    instant_order,
)
from dvabatch.batching.query import Query


def test_any_order_of_an_instant_becomes_the_one() -> None:
    wanted: list[Event] = [
        LaunchFinished(3),
        LaunchFailed(4, "why"),
        ExecutorAdded(1, 2),
        ExecutorLost(0, 1, "why"),
        ExecutorLost(1, 0, "why"),
        QueryArrived(Query(7, 0)),
        QueryCancelled(2),
        TimerFired(),
    ]
    for order in permutations(wanted):
        assert sorted(order, key=instant_order) == wanted


def test_by_id_within_a_kind_and_a_lost_device_before_arrivals() -> None:
    some: list[Event] = [QueryArrived(Query(9, 0)), QueryArrived(Query(8, 0)), DeviceLost("why"), LaunchFinished(6)]
    assert sorted(some, key=instant_order) == [some[3], some[2], some[1], some[0]]
