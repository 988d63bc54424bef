"""Whom the machine turns away: who fits no lane, comes too many or too late, and those nobody could answer in time."""

from __future__ import annotations

from dvabatch.batching.commands import Reject, WakeAt
from dvabatch.batching.events import QueryArrived, TimerFired
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.operations import Advance, New, Wake
from dvabatch.batching.query import Query
from tests.batching.scripted import Script, Stage
from tests.batching.timeline import flat

MS = 1_000_000


def test_queries_that_fit_no_lane_are_rejected_alone() -> None:
    machine = Machine(Limits(1, 4, lanes=(8, 16)), flat(1, lanes={8: 1, 16: 2}), Script())
    queries = [Query(0, 0, 17), Query(1, 0, 16), Query(2, 0, None)]
    commands = machine.handle([QueryArrived(query) for query in queries], 0)
    assert [(c.query_id, c.reason.split(";")[0]) for c in commands if isinstance(c, Reject)] == [
        (0, "length 17 above 16"),
        (2, "no length given"),
    ]
    assert machine.ledger.waiting.ids() == [1]


def test_a_full_queue_rejects_those_who_come_too_many() -> None:
    machine = Machine(Limits(1, 4, max_queue=2), flat(1), Script())
    commands = machine.handle([QueryArrived(Query(i, 0)) for i in range(4)], 0)
    assert commands == [Reject(2, "queue full (2 waiting)"), Reject(3, "queue full (2 waiting)")]


def test_a_deadline_counts_until_entry_and_is_in_time_itself() -> None:
    stage = Stage()
    stage.call([QueryArrived(Query(0, 0, deadline_ns=3)), QueryArrived(Query(1, 0, deadline_ns=3))])  # at 1
    stage.do(New(0, (0,)))
    assert stage.do() == []  # at 3
    assert stage.do() == [Reject(1, "deadline passed before entry")]
    assert stage.do(Advance(0, 2))


def dropping() -> Machine:
    """A machine whose three stages take 1 ms each, and whose policy says nothing."""
    return Machine(Limits(3, 4, drop_late=True), flat(3), Script())


def test_a_late_query_is_dropped_as_soon_as_it_comes() -> None:
    queries = [Query(0, 0, deadline_ns=3 * MS - 1), Query(1, 0, deadline_ns=3 * MS), Query(2, 0)]
    commands = dropping().handle([QueryArrived(query) for query in queries], 0)
    assert commands == [Reject(0, "deadline can no longer be met"), WakeAt(1)]


def test_a_waiting_query_is_dropped_when_its_time_has_come_and_not_before() -> None:
    machine = dropping()
    assert machine.handle([QueryArrived(Query(0, 0, deadline_ns=10 * MS))], 0) == [WakeAt(7 * MS + 1)]
    assert machine.handle([TimerFired()], 7 * MS) == []
    assert machine.handle([TimerFired()], 7 * MS + 1) == [Reject(0, "deadline can no longer be met")]
    assert machine.idle
    assert machine.handle([QueryArrived(Query(1, 0, deadline_ns=10 * MS))], 11 * MS) == [
        Reject(1, "deadline passed before entry")
    ]


def test_an_earlier_wake_up_of_the_policy_stands_and_one_that_has_entered_needs_none() -> None:
    script = Script()
    machine = Machine(Limits(3, 4, drop_late=True), flat(3), script)
    script.say = [Wake(5 * MS)]
    assert machine.handle([QueryArrived(Query(0, 0, deadline_ns=10 * MS))], 0) == [WakeAt(5 * MS)]
    assert machine.handle([QueryArrived(Query(1, 0, deadline_ns=20 * MS))], 1) == []  # nobody takes it back
    script.say = [New(0, (0,))]
    assert machine.handle([TimerFired()], 5 * MS) == [WakeAt(17 * MS + 1)]


def test_late_queries_stay_where_nobody_asked_to_drop_them() -> None:
    machine = Machine(Limits(3, 4), flat(3), Script())
    assert machine.handle([QueryArrived(Query(0, 0, deadline_ns=1))], 0) == []
    assert machine.ledger.waiting.ids() == [0]
