"""The machine at its edges: what it refuses, and that a refused operation changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dvabatch.batching.commands import Copy, Deliver, Fail, Forget, Launch, Reject, WakeAt
from dvabatch.batching.errors import BatchingError, EventError, OperationError
from dvabatch.batching.events import (
    DeviceLost,
    Event,
    ExecutorAdded,
    ExecutorLost,
    HostPaced,
    LaunchFailed,
    LaunchFinished,
    QueryArrived,
    QueryCancelled,
    TimerFired,
)
from dvabatch.batching.ledger import Ledger
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.operations import Advance, Hold, Merge, New, Operation, Split, Stretch, Wake
from dvabatch.batching.place import Place
from dvabatch.batching.query import Query
from dvabatch.batching.view import View
from tests.batching.scripted import Script, Stage
from tests.batching.timeline import flat

MS = 1_000_000


def picture(ledger: Ledger) -> object:
    """All that a policy or a driver could notice."""
    batches = [
        (b.id, b.state, b.stage, b.boundary, b.head, b.tail, b.launch_id, b.place, tuple(q.id for q in b.queries))
        for b in ledger.batches
    ]
    stages = range(ledger.limits.stages)
    owners = [ledger.executors.owner(s, i) for s in stages for i in range(ledger.executors.count(s))]
    ready = [batch.id for batch in ledger.ready]
    return (
        batches,
        owners,
        ready,
        ledger.free_sets,
        sorted(ledger.waiting.ids()),
        dict(ledger.followers),
        sorted(ledger.launches),
    )


def two_batches() -> Stage:
    """Batch 0 (queries 0, 1) has passed stage 0, batch 1 (query 2) is in stage 0 with launch 1; queries 3 and 4 wait."""
    stage = Stage(queries=5, buffer_sets=3, executors=2)
    stage.do(New(0, (0, 1)), New(0, (2,)), Advance(0, 0), Advance(1, 0))
    stage.call([LaunchFinished(0)])
    return stage


REFUSED: list[tuple[Operation, str]] = [
    (New(0, ()), "1 to 4"),
    (New(0, (3, 3)), "twice"),
    (New(0, (9,)), "wait for lane 0"),
    (New(0, (0,)), "wait for lane 0"),
    (New(5, (3,)), "lane 5"),
    (New(0, (3, 4, 0)), "wait for lane 0"),
    (Stretch(7, (3,)), "batch 7 is not live"),
    (Stretch(0, ()), "free rows"),
    (Stretch(0, (3, 4, 9)), "free rows"),
    (Stretch(0, (3, 9)), "wait for lane 0"),
    (Merge(0, 1), "batch 1 is RUNNING"),
    (Merge(0, 0), "two batches|wanted"),
    (Split(0, (2,)), "two or more"),
    (Split(0, (1, 2)), "sum to 2"),
    (Split(0, (3, -1)), "positive"),
    (Split(1, (1, 1)), "batch 1 is RUNNING"),
    (Hold(0, 0), "behind"),
    (Hold(0, 7), "not live"),
    (Hold(1, 0), "behind"),
    (Advance(0, 0), "stands before stage 1"),
    (Advance(0, 3), "stands before stage 1"),
    (Advance(1, 1), "RUNNING"),
    (Advance(0, 1, behind=0), "not in flight"),
    (Advance(0, 1, behind=1), "spans other stages"),
]


@pytest.mark.parametrize(("operation", "words"), REFUSED, ids=str)
def test_an_illegal_operation_is_refused_as_a_whole(operation: Operation, words: str) -> None:
    stage = two_batches()
    before = picture(stage.machine.ledger)
    with pytest.raises(BatchingError, match=words):
        stage.do(operation)
    assert picture(stage.machine.ledger) == before


def test_a_hold_of_a_running_batch_is_refused_as_a_whole() -> None:
    """The ledger once tied the two before it looked at the state of the one, and left them tied."""
    stage = two_batches()
    stage.do(Advance(0, 2))  # batch 0 runs stages 1 and 2, batch 1 is behind it in stage 0
    before = picture(stage.machine.ledger)
    with pytest.raises(BatchingError):
        stage.do(Hold(0, 1))
    assert picture(stage.machine.ledger) == before


def test_no_executor_no_launch() -> None:
    stage = Stage(queries=2, executors=1)
    stage.do(New(0, (0,)), New(0, (1,)), Advance(0, 1))
    with pytest.raises(OperationError, match="from 0 to 0 has no idle executor"):
        stage.do(Advance(1, 0))


def test_no_free_set_no_batch() -> None:
    stage = Stage(queries=2, buffer_sets=1)
    stage.do(New(0, (0,)))
    with pytest.raises(OperationError, match="no buffer set is free"):
        stage.do(New(0, (1,)))


def test_a_policy_without_end_is_stopped() -> None:
    class Mad:
        digest = "mad"

        def plan(self, view: View) -> Iterator[Operation]:
            yield New(0, (0, 1))
            while True:
                one, *other = view.batches
                yield Merge(one.id, other[0].id) if other else Split(one.id, (1, 1))

    machine = Machine(Limits(2, 4), flat(2), Mad())
    with pytest.raises(OperationError, match="mad does not come to an end"):
        machine.handle([QueryArrived(Query(0, 0)), QueryArrived(Query(1, 0))], 0)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (LaunchFinished(9), "launch 9 ended, but is not in flight; in flight are \\[1\\]"),
        (LaunchFinished(0), "launch 0 ended"),
        (LaunchFailed(9, "x"), "launch 9 ended"),
        (QueryArrived(Query(4, 0)), "query 4 arrived after query 4; ids rise"),
        (ExecutorLost(3, 0, "x"), "no such executor"),
        (ExecutorLost(0, 2, "x"), "no such executor"),
    ],
)
def test_an_event_that_cannot_have_happened_is_refused(event: Event, words: str) -> None:
    with pytest.raises(EventError, match=words):
        two_batches().call([event])


def test_time_does_not_run_backwards_but_may_stand() -> None:
    machine = Machine(Limits(1, 1), flat(1), Script())
    machine.handle([], 5)
    machine.handle([], 5)
    with pytest.raises(EventError, match="from 5 to 4 ns"):
        machine.handle([], 4)


def test_the_profile_has_to_fit() -> None:
    with pytest.raises(ValueError, match="2 stages in 1 lanes, the machine 3 in 1"):
        Machine(Limits(3, 1), flat(2), Script())
    with pytest.raises(ValueError, match="1 stages in 1 lanes, the machine 1 in 2"):
        Machine(Limits(1, 1, lanes=(4, 8)), flat(1), Script())
    with pytest.raises(ValueError, match="ends at batch 4, the machine's max_batch is 5"):
        Machine(Limits(1, 5), flat(1, most=4), Script())
    Machine(Limits(1, 4), flat(1, most=4), Script())


def test_a_batch_of_the_maximum_itself_is_allowed() -> None:
    stage = Stage(queries=5, max_batch=4)
    with pytest.raises(OperationError, match="wanted 1 to 4 queries, got 5"):
        stage.do(New(0, (0, 1, 2, 3, 4)))
    launch = stage.do(New(0, (0, 1, 2, 3)), Advance(0, 2))[0]
    assert isinstance(launch, Launch)
    assert launch.query_ids == (0, 1, 2, 3)


def test_a_successor_in_the_same_instant_saves_a_stage_from_running_dry() -> None:
    stage = Stage(queries=2, executors=1)
    stage.do(New(0, (0,)), Advance(0, 2))
    events: list[Event] = [ExecutorLost(0, 0, "it hung"), *(ExecutorAdded(at, 1) for at in range(3))]
    assert stage.call(events) == [Fail((0,), "it hung")]
    assert stage.machine.ledger.idle == [1, 1, 1]
    assert stage.machine.dead_ns is None
    [launch] = [command for command in stage.do(New(0, (1,)), Advance(1, 2)) if isinstance(command, Launch)]
    assert launch.executors == (1, 1, 1)


@pytest.mark.parametrize(("at", "index"), [(0, 0), (0, 1), (0, 3), (3, 2), (-1, 2)])
def test_a_successor_under_another_index_than_the_next_is_refused(at: int, index: int) -> None:
    with pytest.raises(EventError, match="its next index"):
        Stage(executors=2).call([ExecutorAdded(at, index)])


def test_what_the_host_costs_goes_by_the_pace_that_was_heard_of() -> None:
    machine = Stage().machine
    costs = machine.ledger.costs
    assert costs is machine.profile.costs
    machine.handle([HostPaced(250)], 1)
    assert machine.ledger.costs == costs.at_pace(2.5)
    machine.handle([HostPaced(100)], 1)
    assert machine.ledger.costs == costs


@pytest.mark.parametrize("percent", [0, -100, 1_000_001])
def test_a_pace_that_no_host_has_is_refused(percent: int) -> None:
    with pytest.raises(EventError, match="wanted from 1 to 1000000 percent"):
        Stage().call([HostPaced(percent)])


def test_the_instant_of_the_end_is_that_of_the_first_loss() -> None:
    stage = Stage()
    stage.call([DeviceLost("power")])
    stage.call([DeviceLost("again")])
    assert stage.machine.dead_ns == 1


def test_wake_ups_are_asked_for_once_replaced_by_a_later_word_and_never_now() -> None:
    stage = Stage(queries=1)  # the clock stands at 1
    assert stage.do(Wake(90), Wake(50)) == [WakeAt(50)]
    assert stage.do(Wake(50)) == []
    assert stage.do(Wake(70)) == [WakeAt(70)]
    assert stage.call([TimerFired()], Wake(0)) == [WakeAt(stage.now_ns + 1)]


def test_a_merge_from_another_set_copies_behind_the_head() -> None:
    stage = Stage(queries=3)
    stage.do(New(0, (0, 1)), New(0, (2,)))
    assert stage.do(Merge(0, 1)) == [Copy(Place(1, 0, 1), Place(0, 2, 1), 0, 0)]
    assert stage.machine.ledger.free_sets == 1


def test_a_merge_without_room_behind_the_head_copies_both_to_a_free_set() -> None:
    stage = Stage(queries=4, buffer_sets=3)
    stage.do(New(0, (0, 1, 2)), New(0, (3,)), Split(0, (1, 2)))  # batches 2 (row 0) and 3 (rows 1 and 2) share set 0
    assert stage.do(Merge(2, 1)) == [
        Copy(Place(0, 0, 1), Place(2, 0, 1), 0, 0),
        Copy(Place(1, 0, 1), Place(2, 1, 1), 0, 0),
    ]
    ledger = stage.machine.ledger
    assert ([query.id for query in ledger.batch(2).queries], ledger.batch(2).place) == ([0, 3], Place(2, 0, 2))
    assert ledger.free_sets == 1


def test_neighbours_in_one_set_merge_without_a_copy() -> None:
    stage = Stage(queries=3)
    stage.do(New(0, (0, 1, 2)), Split(0, (1, 2)))
    assert stage.do(Merge(1, 2)) == []
    assert stage.machine.ledger.batch(1).place == Place(0, 0, 3)


def test_a_split_at_a_boundary_keeps_rows_and_order() -> None:
    stage = Stage(queries=4)
    stage.do(New(0, (0, 1, 2, 3)), Advance(0, 0))
    stage.call([LaunchFinished(0)])
    launches = stage.do(Split(0, (1, 1, 2)), Advance(1, 1), Advance(2, 1))
    assert [(c.place, c.query_ids) for c in launches if isinstance(c, Launch)] == [
        (Place(0, 0, 1), (0,)),
        (Place(0, 1, 1), (1,)),
    ]
    assert stage.machine.ledger.batch(3).place == Place(0, 2, 2)


def test_a_failed_launch_fails_its_own_and_its_rows_and_executors_serve_again() -> None:
    stage = two_batches()
    assert stage.call([LaunchFailed(1, "out of memory")]) == [Fail((2,), "out of memory")]
    assert stage.machine.ledger.free_sets == 2
    assert stage.machine.ledger.idle[0] == 2
    assert [batch.id for batch in stage.machine.ledger.batches] == [0]


def test_a_cancelled_query_is_forgotten_where_it_is_and_its_batch_goes_on() -> None:
    stage = two_batches()
    assert stage.call([QueryCancelled(3)]) == [Forget(3)]
    assert stage.call([QueryCancelled(0)]) == [Forget(0)]
    assert stage.call([QueryCancelled(0), QueryCancelled(77)]) == []
    launch = stage.do(Advance(0, 2))[0]
    assert isinstance(launch, Launch)
    assert launch.query_ids == (0, 1)  # rows never move
    assert stage.call([LaunchFinished(launch.id)]) == [Deliver((1,))]


def test_a_batch_whose_queries_are_all_cancelled_ends_at_the_next_boundary() -> None:
    stage = two_batches()
    stage.call([QueryCancelled(2)])
    assert [batch.id for batch in stage.machine.ledger.batches] == [0, 1]  # still on the device
    assert stage.call([LaunchFinished(1)]) == []
    assert [batch.id for batch in stage.machine.ledger.batches] == [0]
    stage.call([QueryCancelled(0), QueryCancelled(1)])
    assert stage.machine.ledger.free_sets == 3


def test_a_lost_executor_fails_what_ran_on_it_and_its_late_word_means_nothing() -> None:
    stage = two_batches()
    assert stage.call([ExecutorLost(0, 1, "hung")]) == [Fail((2,), "hung")]
    assert stage.machine.ledger.free_sets == 1  # its rows may still be written
    assert stage.call([LaunchFinished(1)]) == []
    with pytest.raises(EventError, match="launch 1"):
        stage.call([LaunchFinished(1)])


def test_a_launch_behind_a_lost_one_never_starts_and_its_batch_is_free_to_go() -> None:
    stage = Stage(queries=2, executors=2)
    stage.do(New(0, (0,)), New(0, (1,)), Advance(0, 1), Advance(1, 0, behind=0))
    assert stage.call([ExecutorLost(1, 0, "hung")]) == [Fail((0,), "hung")]
    launch = stage.do(Advance(1, 0))[0]
    assert isinstance(launch, Launch)
    assert (launch.executors, launch.after) == ((1,), None)


def test_a_launch_behind_inherits_executors_whatever_becomes_of_the_first() -> None:
    stage = Stage(queries=2, executors=1)
    commands = stage.do(New(0, (0,)), New(0, (1,)), Advance(0, 2), Advance(1, 1, behind=0))
    assert [c.after for c in commands if isinstance(c, Launch)] == [None, 0]
    assert stage.call([LaunchFailed(0, "x")]) == [Fail((0,), "x")]
    ledger = stage.machine.ledger
    assert [(ledger.idle[s], ledger.executors.owner(s, 0)) for s in range(3)] == [(0, 1), (0, 1), (1, None)]
    stage.call([LaunchFinished(1)])
    assert [ledger.idle[s] for s in range(3)] == [1, 1, 1]


def test_a_lost_device_fails_everybody_and_rejects_whoever_comes() -> None:
    stage = two_batches()
    commands = stage.call([DeviceLost("fell off the bus"), QueryArrived(Query(5, 0))])
    failed = sorted(q for c in commands if isinstance(c, Fail) for q in c.query_ids)
    assert failed == [0, 1, 2, 3, 4]
    assert {c.reason for c in commands if isinstance(c, (Fail, Reject))} == {"device lost: fell off the bus"}
    assert commands[-1] == Reject(5, "device lost: fell off the bus")
    assert stage.machine.idle


def test_operations_are_counted() -> None:
    stage = two_batches()
    stage.do(Stretch(0, (3, 4)), Hold(0, 2))
    assert stage.machine.operations == {"new": 2, "stretch": 1, "merge": 0, "split": 0, "hold": 1}
