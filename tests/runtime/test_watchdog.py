"""Whose time is out, and what the machine hears of it."""

from __future__ import annotations

import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import ExecutorAdded, ExecutorLost
from dvabatch.batching.executors import Executors
from dvabatch.batching.place import Place
from dvabatch.batching.profile import Profile
from dvabatch.runtime.faults import NEVER
from dvabatch.runtime.watchdog import Watchdog, usual_timeout_ns


def launch(launch_id: int, first: int = 0, last: int = 1, after: int | None = None, index: int = 0) -> Launch:
    return Launch(
        launch_id, launch_id, 0, first, last, Place(0, 0, 1), (launch_id,), (index,) * (last - first + 1), after
    )


def test_a_launch_is_overdue_when_its_time_is_out_and_not_before() -> None:
    dog = Watchdog(100)
    assert dog.next_ns == NEVER
    first, second = launch(0), launch(1)
    dog.started(first, 5)
    dog.started(second, 7)
    assert dog.next_ns == 105
    assert dog.overdue(104) == []
    assert dog.overdue(105) == [first]
    assert dog.overdue(107) == [first, second]
    assert dog.give_up(first) is None
    assert dog.next_ns == 107
    dog.ended(1, 106)
    assert dog.next_ns == NEVER
    assert dog.given_up == 1


def test_who_is_queued_behind_another_has_time_from_its_end() -> None:
    dog = Watchdog(100)
    dog.started(launch(0), 0)
    dog.started(launch(1, after=0), 1)
    dog.ended(0, 90)
    assert dog.next_ns == 190
    dog.started(launch(2, after=0), 95)  # behind one that has ended: at once
    assert [each.id for each in dog.overdue(195)] == [1, 2]


def test_who_is_queued_behind_one_that_is_given_up_never_starts() -> None:
    dog = Watchdog(100)
    ahead, behind = launch(0), launch(1, after=0)
    dog.started(ahead, 0)
    dog.started(behind, 1)
    assert dog.give_up(ahead) == behind
    dog.ended(0, 150)  # a late end is harmless
    assert dog.next_ns == NEVER


def test_nothing_is_waited_for_once_all_is_forgotten() -> None:
    dog = Watchdog(100)
    dog.started(launch(0), 0)
    dog.started(launch(1, after=0), 0)
    dog.forget_all()
    dog.ended(0, 1)
    assert dog.next_ns == NEVER


def test_every_stage_of_the_span_gets_a_successor_before_anything_is_lost() -> None:
    executors = Executors(3, 2)
    events = Watchdog(1_500_000).losses([launch(0, 0, 1), launch(1, 1, 1, index=1)], executors)
    assert events == [
        ExecutorAdded(0, 2),
        ExecutorAdded(1, 2),
        ExecutorLost(0, 0, "launch of stages 0 to 1 given up: no end after 1.5 ms"),
        ExecutorAdded(1, 3),
        ExecutorLost(1, 1, "launch of stage 1 given up: no end after 1.5 ms"),
    ]


@pytest.mark.parametrize(("slowest_ms", "timeout_ns"), [(1, 10_000_000_000), (500, 100_000_000_000)])
def test_the_usual_time_is_far_above_what_the_profile_says(slowest_ms: int, timeout_ns: int) -> None:
    stages = [{"latency_ms": {"1": 1, "8": slowest_ms}}] * 2
    assert usual_timeout_ns(Profile.from_table({"stages": stages}), 8) == timeout_ns


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout_ns is 0"):
        Watchdog(0)
