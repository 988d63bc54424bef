"""The waiting room: first come, first served in a lane, and nobody past the deadline."""

from __future__ import annotations

import math

from dvabatch.batching.query import Query
from dvabatch.batching.waiting import WaitingRoom


def room() -> WaitingRoom:
    waiting = WaitingRoom(2)
    for number, lane in enumerate([0, 1, 0, 1, 0]):
        waiting.add(lane, Query(number, number))
    return waiting


def test_who_has_come_is_counted_whatever_became_of_them() -> None:
    waiting = room()
    waiting.remove(0, 2)
    waiting.take(1, (1, 3))
    assert waiting.arrived == [3, 2]
    waiting.clear()
    assert waiting.arrived == [3, 2]


def test_each_lane_is_a_queue_and_all_of_them_are_one() -> None:
    waiting = room()
    assert (waiting.count, waiting.in_lane(0), waiting.in_lane(1)) == (5, 3, 2)
    assert waiting.first(0, 2) == (0, 2)
    assert waiting.first(1, 9) == (1, 3)
    assert waiting.first_of_any(4) == (1, (0, 1, 2, 3))
    assert waiting.first_of_any(1) == (0, (0,))
    first = waiting.oldest_of_any()
    assert first is not None
    assert first.id == 0
    oldest = waiting.oldest(1)
    assert oldest is not None
    assert oldest.id == 1


def test_a_query_is_found_with_its_own_lane_until_it_leaves() -> None:
    waiting = room()
    assert waiting.find(3) == (1, Query(3, 3))
    assert waiting.remove(1, 3) == Query(3, 3)
    assert waiting.find(3) is None
    assert (waiting.count, waiting.ids()) == (4, [0, 2, 4, 1])


def test_an_empty_lane_has_no_oldest() -> None:
    assert WaitingRoom(1).oldest(0) is None
    assert WaitingRoom(1).oldest_of_any() is None
    assert WaitingRoom(1).first_of_any(3) == (0, ())
    assert WaitingRoom(1).next_deadline_ns == math.inf


def test_the_deadline_itself_is_in_time() -> None:
    waiting = WaitingRoom(1)
    waiting.add(0, Query(0, 0, deadline_ns=10))
    assert waiting.expired(10) == []
    assert waiting.next_deadline_ns == 10
    assert [query.id for query in waiting.expired(11)] == [0]
    assert waiting.count == 0


def test_expired_queries_leave_in_order_of_deadline_and_those_gone_before_are_not_named() -> None:
    waiting = WaitingRoom(1)
    for number, deadline_ns in enumerate([30, 10, 20, 99]):
        waiting.add(0, Query(number, 0, deadline_ns=deadline_ns))
    waiting.remove(0, 2)
    assert [query.id for query in waiting.expired(50)] == [1, 0]
    assert waiting.ids() == [3]


def test_clearing_hands_everybody_out_by_id() -> None:
    waiting = room()
    assert [query.id for query in waiting.clear()] == [0, 1, 2, 3, 4]
    assert (waiting.count, waiting.ids()) == (0, [])
