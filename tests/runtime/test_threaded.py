"""The threaded driver on table stages: what becomes of every query, in real threads."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from dvabatch.batching.events import Event, QueryArrived, QueryCancelled
from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, InputDva, LoadDva, Normal, NormalInput, OperatorDva
from dvabatch.batching.query import Query
from dvabatch.runtime.journal import Outcome
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch.runtime.trace import retrace
from engines.base import Array
from engines.errors import EngineError
from tests.runtime.rig import Served, Ticking, table_rig

STAGES, MAX_BATCH = 3, 8
LIMITS = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=2)
ENTRY = FillOrWait(MAX_BATCH, 0, 2)
CATCHING_UP = CatchingUp(3, MAX_BATCH, 2, None)  # small batches with room behind: any backlog stretches them
FAVORING = Favoring((2, 4, 2))
POLICIES: dict[str, Policy] = {
    "NORMAL": Normal(ENTRY),
    "NORMAL_INPUT": NormalInput(FillOrWait(MAX_BATCH, 0, 2, mixed=True)),
    "INPUT_DVA": InputDva(ENTRY),
    "LOAD_DVA": LoadDva(CATCHING_UP),
    "OPERATOR_DVA": OperatorDva(ENTRY, FAVORING),
    "HYBRID_DVA": HybridDva(CATCHING_UP, FAVORING),
}
MS = 1_000_000


def arrivals(count: int, seed: int = 0, gap_ns: int = 50_000) -> list[int]:
    """A burst, then a Poisson process."""
    gaps = np.random.default_rng(seed).exponential(gap_ns, count)
    gaps[: count // 4] = 0
    instants: list[int] = np.cumsum(gaps).astype(int).tolist()
    return instants


def all_right(served: Served, count: int) -> None:
    """Every query was answered, with its own token, by every stage once."""
    assert served.ended(Outcome.COMPLETED) == list(range(count))
    assert served.tokens() == {query_id: [query_id, STAGES] for query_id in range(count)}


@pytest.mark.parametrize("name", POLICIES)
def test_pull_and_push_agree_on_what_was_answered(name: str) -> None:
    pulled = table_rig(POLICIES[name], LIMITS).pull(arrivals(80))
    pushed = table_rig(POLICIES[name], LIMITS).push(arrivals(80))
    all_right(pulled, 80)
    all_right(pushed, 80)
    assert pulled.tokens() == pushed.tokens()
    assert list(pulled.journal.arrival_ns) == list(pushed.journal.arrival_ns)


@pytest.mark.parametrize("name", POLICIES)
def test_a_trace_of_a_threaded_run_replays_byte_for_byte(name: str) -> None:
    rig = table_rig(POLICIES[name], LIMITS)
    served = rig.pull(arrivals(60, seed=1))
    fresh = History(LIMITS, rig.profile, POLICIES[name])
    calls = list(retrace(io.StringIO(served.trace), fresh))
    assert len(calls) == served.trace.count("\n") - 1 >= 2
    assert fresh.machine.operations == served.machine.operations
    assert fresh.machine.idle


def test_lengths_are_padded_and_every_step_answered() -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=2, lanes=(4, 8, 16))
    lengths = np.random.default_rng(0).integers(1, 17, 40).tolist()
    served = table_rig(POLICIES["NORMAL_INPUT"], limits, lengths=lengths).pull([0] * 40, lengths)
    assert served.ended(Outcome.COMPLETED) == list(range(40))
    for query_id, length in enumerate(lengths):
        answer = served.answers[query_id]["answer"]
        assert answer[:length].tolist() == [[query_id, STAGES]] * length
        assert (answer[length:] == [0, STAGES]).all()


def taking(clock: Ticking, took_ns: int) -> Callable[[Array], None]:
    """Every stage takes this long on the clock, and no time at all."""
    return lambda rows: clock.take(took_ns)


def test_a_deadline_rejects_who_has_not_entered_by_then() -> None:
    clock = Ticking()
    one_by_one = table_rig(
        Normal(FillOrWait(1, 0, 1)), Limits(STAGES, 1, 1, 1), before=taking(clock, 2 * MS), clock=clock
    )
    served = one_by_one.pull([0, 0, 0, 0], deadline_ns=7 * MS)
    # Each takes 3 x 2 ms: the second enters at 6 ms, the third would at 12 ms.
    assert served.ended(Outcome.COMPLETED) == [0, 1]
    assert served.ended(Outcome.REJECTED) == [2, 3]
    assert served.journal.reasons == {"deadline passed before entry": 2}
    assert [done // MS for done in served.journal.done_ns[:2]] == [6, 12]


def test_a_full_queue_rejects_the_rest() -> None:
    limits = Limits(STAGES, 2, 1, 1, max_queue=3)
    served = table_rig(Normal(FillOrWait(2, 0, 1)), limits).pull([0] * 7)
    assert served.ended(Outcome.COMPLETED) == [0, 1, 2]
    assert served.ended(Outcome.REJECTED) == [3, 4, 5, 6]
    assert served.journal.reasons == {"queue full (3 waiting)": 4}


def test_a_length_above_the_largest_lane_is_rejected_alone() -> None:
    limits = Limits(STAGES, MAX_BATCH, lanes=(4, 8))
    lengths = [3, 9, 8, 100]
    served = table_rig(Normal(ENTRY), limits, lengths=lengths).pull([0] * 4, lengths)
    assert served.ended(Outcome.COMPLETED) == [0, 2]
    assert served.ended(Outcome.REJECTED) == [1, 3]
    assert any("length 9 above 8" in reason for reason in served.journal.reasons)


def test_a_query_that_is_cancelled_while_it_waits_never_runs() -> None:
    events: list[Event] = [QueryArrived(Query(query_id, 0)) for query_id in range(4)]
    events += [QueryCancelled(1), QueryCancelled(1)]
    served = table_rig(Normal(ENTRY), LIMITS).at_once(events, 4)
    assert served.ended(Outcome.CANCELLED) == [1]
    assert served.ended(Outcome.COMPLETED) == [0, 2, 3]
    assert [launch.query_ids for launch in served.launches] == [(0, 2, 3)]


def test_a_query_that_is_cancelled_in_flight_is_not_answered_and_the_others_are() -> None:
    drivers: list[ThreadedDriver] = []

    def cancel(rows: Array) -> None:
        if rows[0, 1] == 0 and (rows[:, 0] == 2).any():
            drivers[0].post(QueryCancelled(2))

    rig = table_rig(InputDva(FillOrWait(4, 0, 1)), LIMITS, before=cancel)
    rig.during = drivers.append
    served = rig.pull([0] * 4)
    assert served.ended(Outcome.CANCELLED) == [2]
    assert sorted(served.answers) == [0, 1, 3]
    assert served.tokens() == {query_id: [query_id, STAGES] for query_id in (0, 1, 3)}


@pytest.mark.parametrize("name", POLICIES)
def test_a_stage_that_raises_fails_its_own_queries_alone(name: str) -> None:
    def hot(rows: Array) -> None:
        if (rows[:, 0] % 10 == 3).any() and rows[0, 1] == 1:
            raise EngineError("the stage is hot")

    served = table_rig(POLICIES[name], LIMITS, before=hot).pull(arrivals(60, seed=2))
    failed = served.ended(Outcome.FAILED)
    assert {query_id for query_id in range(60) if query_id % 10 == 3} <= set(failed)
    assert served.journal.reasons == {"the stage is hot": len(failed)}
    in_hot_launches = {
        query_id
        for launch in served.launches
        if launch.first_stage <= 1 <= launch.last_stage and any(each % 10 == 3 for each in launch.query_ids)
        for query_id in launch.query_ids
    }
    assert set(failed) == in_hot_launches
    completed = served.ended(Outcome.COMPLETED)
    assert sorted(completed + failed) == list(range(60))
    assert served.tokens() == {query_id: [query_id, STAGES] for query_id in completed}


@pytest.mark.parametrize(("executors", "counts"), [(1, False), (2, True)])
def test_lateness_is_recorded_and_counts_where_an_executor_was_free(executors: int, counts: bool) -> None:
    clock = Ticking()
    rig = table_rig(
        Normal(FillOrWait(1, 0, 1)), Limits(STAGES, 1, 1, executors), before=taking(clock, 5 * MS), clock=clock
    )
    served = rig.pull([0, 4 * MS])
    late_ns = served.journal.admitted_ns[1] - served.journal.arrival_ns[1]
    assert served.journal.admitted_ns[0] == 0
    assert late_ns in {1 * MS, 6 * MS, 11 * MS}  # seen at the end of a stage: nobody looked at 4 ms
    assert bool(served.journal.late_free[1]) == counts


def test_busy_is_the_time_with_something_in_flight() -> None:
    clock = Ticking()
    rig = table_rig(Normal(FillOrWait(4, 0, 1)), Limits(STAGES, 4, 1, 1), before=taking(clock, 5 * MS), clock=clock)
    served = rig.pull([0] * 8)
    assert served.busy_ns == 2 * STAGES * 5 * MS
    assert list(served.journal.done_ns) == [15 * MS] * 4 + [30 * MS] * 4


def test_a_timer_opens_a_batch_that_waited_long_enough() -> None:
    served = table_rig(Normal(FillOrWait(4, 300 * MS, 1)), LIMITS).pull([0, 0])
    assert [launch.query_ids for launch in served.launches] == [(0, 1)]
    assert "WakeAt" in served.trace
    assert "TimerFired" in served.trace


def test_nothing_to_do_ends_at_once() -> None:
    assert table_rig(Normal(ENTRY), LIMITS).pull([]).launches == []
    assert table_rig(Normal(ENTRY), LIMITS).push([]).launches == []


def test_what_the_machine_refuses_ends_the_run_and_leaves_no_thread() -> None:
    before = threading.active_count()
    backwards: Sequence[QueryArrived] = [QueryArrived(Query(1, 0)), QueryArrived(Query(1, 0))]
    with pytest.raises(Exception, match="query 1 arrived after query 1"):
        table_rig(Normal(ENTRY), LIMITS).at_once(backwards, 2)
    assert threading.active_count() == before
