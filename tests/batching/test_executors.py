"""Stage executors: one owner each, until the launch has ended on the device."""

from __future__ import annotations

import pytest

from dvabatch.batching.executors import Executors
from dvabatch.batching.states import ExecutorState


def test_a_launch_takes_one_of_every_stage_of_its_span() -> None:
    executors = Executors(3, 2)
    assert executors.take(0, 1, 7) == (0, 0)
    assert [executors.idle[stage] for stage in range(3)] == [1, 1, 2]
    assert (executors.owner(0, 0), executors.owner(2, 0)) == (7, None)
    assert executors.state(1, 0) is ExecutorState.BUSY
    assert executors.take(1, 2, 8) == (1, 0)
    assert executors.idle_through(0, 0)
    assert not executors.idle_through(0, 1)
    assert not executors.idle_through(1, 2)
    assert executors.idle_through(2, 2)


def test_they_return_to_the_stages_that_they_came_from() -> None:
    executors = Executors(2, 1)
    executors.put_back(0, executors.take(0, 1, 0))
    assert executors.idle_through(0, 1)
    assert executors.owner(1, 0) is None


def test_returning_an_executor_twice_is_refused() -> None:
    executors = Executors(1, 1)
    taken = executors.take(0, 0, 0)
    executors.put_back(0, taken)
    with pytest.raises(Exception, match="executor 0 of stage 0 is IDLE and cannot be RETURNED"):
        executors.put_back(0, taken)


def test_handed_on_executors_stay_busy_under_a_new_owner() -> None:
    executors = Executors(1, 1)
    taken = executors.take(0, 0, 3)
    executors.give(0, taken, 4)
    assert (executors.owner(0, 0), executors.state(0, 0), executors.idle[0]) == (4, ExecutorState.BUSY, 0)


def test_losing_an_idle_one_takes_it_off_the_offer() -> None:
    executors = Executors(1, 2)
    assert executors.lose(0, 1) is None
    assert (executors.idle[0], executors.usable(0), executors.count(0)) == (1, 1, 2)
    assert executors.take(0, 0, 0) == (0,)


def test_losing_a_busy_one_names_its_launch_once_and_it_never_returns() -> None:
    executors = Executors(2, 1)
    taken = executors.take(0, 1, 5)
    assert executors.lose(1, 0) == 5
    assert executors.lose(1, 0) is None
    executors.put_back(0, taken)
    assert (executors.idle[0], executors.idle[1], executors.usable(1)) == (1, 0, 0)
    assert executors.state(1, 0) is ExecutorState.LOST


def test_a_successor_has_an_index_of_its_own_and_serves_when_the_others_are_taken() -> None:
    executors = Executors(2, 2)
    executors.take(1, 1, 5)
    executors.lose(1, 0)
    executors.add(1)
    assert (executors.idle[1], executors.usable(1), executors.count(1)) == (2, 2, 3)
    assert [executors.take(1, 1, launch_id) for launch_id in (6, 7)] == [(1,), (2,)]
    assert (executors.owner(1, 2), executors.count(0)) == (7, 2)
