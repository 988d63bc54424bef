"""A schedule as a driver reads it, and one that is held back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.runtime.arrivals import HeldArrivals, PullArrivals


def ids(arrivals: PullArrivals | HeldArrivals, now_ns: int) -> list[int]:
    return [query.id for query in arrivals.take_due(now_ns)]


def test_what_is_due_is_taken_once() -> None:
    arrivals = PullArrivals([0, 10, 10, 30])
    assert (ids(arrivals, 5), ids(arrivals, 10), ids(arrivals, 29)) == ([0], [1, 2], [])
    assert arrivals.next_ns == 30
    assert [query.id for query in arrivals.take_due(40, 0)] == []
    assert (ids(arrivals, 40), arrivals.next_ns) == ([3], None)


def test_while_as_many_as_may_are_under_way_nothing_is_due() -> None:
    arrivals = HeldArrivals(PullArrivals([0, 1, 2, 50]), 2)
    assert ids(arrivals, 2) == [0, 1]
    assert arrivals.next_ns is None
    assert ids(arrivals, 60) == []
    arrivals.ended()
    assert arrivals.next_ns == 2
    assert ids(arrivals, 70) == [2]
    arrivals.ended()
    arrivals.ended()
    assert ids(arrivals, 80) == [3]
    assert arrivals.held == [2, 3]  # both came due while two were under way
    assert arrivals.next_ns is None


def test_who_meets_room_is_not_held_back() -> None:
    arrivals = HeldArrivals(PullArrivals([0, 10, 20]), 1)
    for instant in (0, 10, 20):
        assert len(ids(arrivals, instant)) == 1
        arrivals.ended()
        assert ids(arrivals, instant) == []
    assert arrivals.held == []


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_never_more_than_the_bound_and_nobody_is_lost(gaps: list[int], most: int, ends: list[bool]) -> None:
    instants = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    arrivals, taken, under_way, now_ns = HeldArrivals(PullArrivals(instants), most), list[int](), 0, 0
    for end in ends + [True] * 2 * len(gaps):
        now_ns += 25
        came = ids(arrivals, now_ns)
        taken += came
        under_way += len(came)
        assert under_way <= most
        if end and under_way:
            arrivals.ended()
            under_way -= 1
    now_ns += 2000
    while came := ids(arrivals, now_ns):
        taken += came
        for _ in came:
            arrivals.ended()
    assert taken == list(range(len(taken)))
    assert len(taken) == len(gaps) or under_way == most


def test_a_bound_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="at most 0 queries under way"):
        HeldArrivals(PullArrivals([0]), 0)
