"""A run that happens again tells what the first time was not written down."""

from __future__ import annotations

from collections import Counter

import pytest

from dvabatch.batching.commands import Deliver, Launch, Reject
from dvabatch.batching.events import ExecutorLost, LaunchFinished, QueryArrived, QueryCancelled
from dvabatch.batching.history import Done, History, Standing
from dvabatch.batching.limits import Limits
from dvabatch.batching.operations import Advance, Hold, Merge, New, Split, Stretch
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from tests.batching.scripted import Script
from tests.runtime.recorded import POLICIES, recorded

TABLE = {"stages": [{"latency_ms": {"1": 1.0, "8": 2.0}}] * 3}


def told() -> tuple[History, Script]:
    """A history whose policy answers what it is told, call by call."""
    script = Script()
    return History(Limits(3, 8, executors_per_stage=2), Profile.from_table(TABLE), script), script


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_operations_and_launches_are_those_of_the_run(name: str, share: float) -> None:
    run = recorded(name, share)
    steps = run.steps()
    done = Counter(done.kind for step in steps for done in step.operations)
    assert {kind: done[kind] for kind in run.operations} == run.operations  # type: ignore[index]
    commanded = [command for step in steps for command in step.commands if type(command) is Launch]
    assert [launch for step in steps for launch in step.started] == commanded
    assert sorted(launch for step in steps for launch in step.ended) == commanded


def test_each_operation_is_told_with_those_whom_it_concerns() -> None:
    history, script = told()
    arrived = [QueryArrived(Query(number, 0)) for number in range(5)]
    script.say = [New(0, (0, 1)), Advance(0, 0)]
    assert history.step(arrived, 0).operations == (Done("new", 0, (0, 1), 0),)
    script.say = [Stretch(0, (2,)), Stretch(0, (3,)), Advance(1, 0)]
    assert history.step([QueryArrived(Query(5, 1))], 1).operations == (
        Done("stretch", 0, (0, 1), 0, tail=1, others=(2,)),
        Done("stretch", 0, (0, 1), 0, tail=1, others=(2, 3)),
    )
    script.say = [Hold(0, 1)]
    assert history.step([LaunchFinished(0)], 2).operations == (Done("hold", 0, (0, 1), 1, 1, (2, 3)),)
    script.say = [Merge(0, 1), Split(0, (3, 1)), Advance(2, 2)]
    step = history.step([LaunchFinished(1)], 3)
    assert step.operations == (
        Done("merge", 0, (0, 1), 1, 1, (2, 3)),
        Done("split", 0, (0, 1, 2, 3), 1, parts=(2, 3)),
    )
    assert [launch.id for launch in step.ended] == [1]
    assert [launch.batch_id for launch in step.started] == [2]
    assert step.waiting == 2
    assert step.operations[0].concerns(3)
    assert not step.operations[0].concerns(4)


def test_a_launch_behind_another_begins_when_that_one_ends() -> None:
    history, script = told()
    script.say = [New(0, (0,)), Advance(0, 0), New(0, (1,)), Advance(1, 0, behind=0)]
    first = history.step([QueryArrived(Query(0, 0)), QueryArrived(Query(1, 0))], 0)
    assert [launch.id for launch in first.started] == [0]
    script.say = [Advance(0, 2)]
    second = history.step([LaunchFinished(0)], 5)
    assert [launch.id for launch in second.ended] == [0]
    assert [launch.id for launch in second.started] == [1, 2]


def test_a_lost_launch_is_over_and_so_is_the_one_behind_it() -> None:
    history, script = told()
    script.say = [New(0, (0,)), Advance(0, 0), New(0, (1,)), Advance(1, 0, behind=0)]
    launched = history.step([QueryArrived(Query(0, 0)), QueryArrived(Query(1, 0))], 0)
    (executor,) = launched.started[0].executors
    script.say = [Advance(1, 0)]
    step = history.step([ExecutorLost(0, executor, "gone")], 5)
    assert [launch.id for launch in step.ended] == [0, 1]
    assert [launch.id for launch in step.started] == [2]


def test_a_step_says_where_every_batch_stands_and_goes_on_saying_it() -> None:
    history, script = told()
    script.say = [New(0, (0, 1)), Advance(0, 0), New(0, (2,)), Advance(1, 0, behind=0)]
    first = history.step([QueryArrived(Query(number, 0)) for number in range(4)], 0)
    launches = first.started[0], history.machine.ledger.launches[1]
    head = Standing(0, 0, 0, 2, (0, 1), launches[0], None, None)
    queued = Standing(1, 0, 0, 1, (2,), launches[1], 0, None)
    assert first.standing == (head, queued)
    cancelled = history.step([QueryCancelled(1)], 3)
    assert cancelled.standing == (head._replace(query_ids=(0,)), queued)
    script.say = [Stretch(0, (3,)), Hold(0, 2)]
    at_boundary = history.step([LaunchFinished(0)], 5)
    assert at_boundary.standing == (
        Standing(0, 0, 1, 2, (0,), None, None, 2),
        queued._replace(behind=None),
        Standing(2, 0, 0, 1, (3,), None, None, None),
    )
    assert first.standing == (head, queued)


@pytest.mark.parametrize("name", POLICIES)
def test_queries_stand_somewhere_or_wait_until_they_end(name: str) -> None:
    run = recorded(name)
    under_way = 0
    for step in run.steps():
        ids = [query_id for batch in step.standing for query_id in batch.query_ids]
        under_way += sum(type(event) is QueryArrived for event in step.events)
        for command in step.commands:
            under_way -= len(command.query_ids) if type(command) is Deliver else type(command) is Reject
        assert len(set(ids)) + step.waiting == len(ids) + step.waiting == under_way
    assert under_way == 0
