"""Defects that the laws found in this machine, each as the smallest run that shows it."""

from __future__ import annotations

import pytest

from dvabatch.batching.commands import Command, Deliver, Fail, Forget, Launch
from dvabatch.batching.errors import LawError, OperationError
from dvabatch.batching.events import Event, ExecutorLost, LaunchFailed, LaunchFinished, QueryArrived, QueryCancelled
from dvabatch.batching.operations import Advance, Hold, New, Split, Stretch
from dvabatch.batching.query import Query
from dvabatch.batching.states import BatchState
from tests.batching.scripted import Stage


def held() -> Stage:
    """Batch 0 (query 0) is held at boundary 1 for its tail, batch 1 (query 1), which runs stage 0 as launch 1."""
    stage = Stage(queries=2)
    stage.do(New(0, (0,)), Advance(0, 0), Stretch(0, (1,)), Advance(1, 0))
    stage.call([LaunchFinished(0)], Hold(0, 1))
    assert stage.machine.ledger.batch(0).state is BatchState.HELD
    return stage


@pytest.mark.parametrize(
    ("events", "answer"),
    [
        ([LaunchFailed(1, "broke")], [Fail((1,), "broke")]),
        ([ExecutorLost(0, 1, "hung")], [Fail((1,), "hung")]),
        ([QueryCancelled(1), LaunchFinished(1)], [Forget(1)]),
    ],
    ids=["failed", "lost", "cancelled"],
)
def test_a_head_is_let_go_however_its_tail_ends(events: list[Event], answer: list[Command]) -> None:
    """`Ledger.end` took the tail out of the books and then looked for it there, to cut the tie: KeyError."""
    stage = held()
    assert [command for event in events for command in stage.call([event])] == answer
    head = stage.machine.ledger.batch(0)
    assert (head.state, head.tail) == (BatchState.READY, None)
    launch = stage.do(Advance(0, 2))[0]
    assert isinstance(launch, Launch)
    assert stage.call([LaunchFinished(launch.id)]) == [Deliver((0,))]


def test_a_tail_that_overtakes_its_head_and_is_delivered_lets_it_go() -> None:
    """The same, for a tail that comes to a good end."""
    stage = Stage(queries=2)
    stage.do(New(0, (0,)), Advance(0, 0), Stretch(0, (1,)), Advance(1, 2))
    assert stage.call([LaunchFinished(0), LaunchFinished(1)]) == [Deliver((1,))]
    assert stage.machine.ledger.batch(0).tail is None


def test_a_batch_behind_an_exhausted_stage_comes_to_an_end() -> None:
    """With no executor of stage 0 left the machine stops planning; a batch that stands behind stage 0 stood there for ever."""
    stage = Stage(queries=1, executors=1)
    stage.do(New(0, (0,)), Advance(0, 0))
    stage.call([LaunchFinished(0)], Advance(0, 1))
    stage.call([ExecutorLost(0, 0, "gone")])
    commands = stage.call([LaunchFinished(1)], Advance(0, 2))
    if not any(isinstance(command, Fail) for command in commands):  # ending it either way is right, silence is not
        commands = stage.call([LaunchFinished(2)])
    assert stage.machine.idle
    assert any(isinstance(command, (Deliver, Fail)) for command in commands)


def test_a_queue_of_launches_is_refused_or_survives_a_loss() -> None:
    """A launch behind a launch that stands behind another: it was allowed, and its loss raised EventError."""
    stage = Stage(queries=3, buffer_sets=3, executors=1)
    stage.do(New(0, (0,)), New(0, (1,)), New(0, (2,)), Advance(0, 0), Advance(1, 0, behind=0))
    try:
        stage.do(Advance(2, 0, behind=1))
    except OperationError:
        return
    commands = stage.call([ExecutorLost(0, 0, "hung"), QueryArrived(Query(3, 0))])
    assert Fail((0,), "hung") in commands
    assert stage.machine.idle


def test_a_part_whose_set_is_lost_is_answered_or_fails() -> None:
    """The last set is lost with one part of a split: the other part still has its rows, and must not be forgotten."""
    stage = Stage(queries=2, buffer_sets=1, executors=2)
    stage.do(New(0, (0, 1)), Split(0, (1, 1)), Advance(1, 0), Advance(2, 0))
    stage.call([ExecutorLost(0, 0, "hung")])
    commands = stage.call([LaunchFinished(1)], Advance(2, 2))
    if not any(isinstance(command, Fail) for command in commands):
        commands = stage.call([LaunchFinished(2)])
    assert stage.machine.idle
    assert any(isinstance(command, (Deliver, Fail)) and command.query_ids == (1,) for command in commands)


def test_the_machine_itself_would_say_so() -> None:
    """`debug` raises where nothing is outstanding: the checks of the machine and those of the tests agree."""
    stage = Stage(queries=1)
    stage.machine._debug = True
    with pytest.raises(LawError, match="law 5"):
        stage.do(New(0, (0,)))
