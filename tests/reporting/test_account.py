"""A query's account sums to its response, to the nanosecond, whatever became of it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dvabatch.batching.events import LaunchFinished, QueryArrived
from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.operations import Advance, Hold, Merge, New, Stretch
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.reporting.account import Account, Accounts, Segment
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.measured import Status
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder, retrace
from tests.batching.scripted import Script
from tests.laws.driver import LawDriver
from tests.laws.strategies import POLICIES as DRAWN
from tests.laws.strategies import policies, scenarios
from tests.laws.watched import WatchedPolicy
from tests.runtime.recorded import POLICIES, QUERIES, recorded

TABLE = {
    "stages": [{"latency_ms": {"1": 1.0, "8": 2.0}}] * 2,
    "copy_us_per_row": 100,
    "launch_us": 50,
    "boundary_us": 30,
}


@cache
def accounts_of(name: str, share: float = 1.0, deadline_ns: int | None = None) -> dict[int, Account]:
    run = recorded(name, share, deadline_ns)
    history = run.history()
    accounts = Accounts(history.machine.profile, range(QUERIES), lambda query_id: run.journal.done_ns[query_id])
    for step in retrace(run.lines, history):
        accounts.follow(step)
    return accounts.finished


def check(account: Account) -> None:
    """Consecutive segments, none empty, from the scheduled arrival to the end."""
    segments = account.segments
    assert sum(segment.lasted_ns for segment in segments) == account.response_ns == sum(account.totals_ns().values())
    assert all(segment.lasted_ns > 0 for segment in segments)
    assert all(one.end_ns == other.begin_ns for one, other in pairwise(segments))
    if segments:
        assert (segments[0].begin_ns, segments[-1].end_ns) == (account.arrival_ns, account.done_ns)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_segments_sum_to_the_response_of_every_query(name: str, share: float) -> None:
    run = recorded(name, share)
    accounts = accounts_of(name, share)
    assert sorted(accounts) == list(range(QUERIES))
    for query_id, account in accounts.items():
        check(account)
        assert account.response_ns == run.journal.done_ns[query_id] - run.journal.arrival_ns[query_id]
        assert account.operations[0].done.kind in {"new", "stretch"}


ONE_AT_1 = [{"latency_ms": {"1": 1.0}, "share": {"1": 0.1}}]


def accounted(
    table: Mapping[str, Any], arrivals_ns: list[int], most: int = 1
) -> tuple[list[int], list[dict[str, int]]]:
    """When each of these queries was answered, `most` to a launch and three at once, and what its time went to."""
    profile, sink, queries = Profile.from_table(table), io.StringIO(), range(len(arrivals_ns))
    limits, policy = Limits(1, most, buffer_sets=3, executors_per_stage=3), Normal(FillOrWait(most, 0, 3))
    machine = Machine(limits, profile, policy)
    journal = SimulatedDriver(machine, Recorder(machine, sink)).run(arrivals_ns)
    accounts = Accounts(profile, queries, lambda query_id: journal.done_ns[query_id])
    for step in retrace(sink.getvalue().splitlines(keepends=True), History(limits, profile, policy)):
        accounts.follow(step)
    return list(journal.done_ns), [dict(accounts.finished[query_id].totals_ns()) for query_id in queries]


def test_waiting_for_the_one_thread_of_a_host_is_launching_and_no_computing() -> None:
    table = {**TABLE, "stages": ONE_AT_1, "launch_us": 1000, "one_host": True}
    _, totals = accounted(table, [0, 0, 0])
    # That the first has ended the thread hears when it has launched the third.
    assert totals == [{"launched": each * 1_000_000, "computed": max(1, 3 - each) * 1_000_000} for each in (1, 2, 3)]


def test_waiting_for_a_core_is_queueing_and_no_computing() -> None:
    stages = [{"latency_ms": {"1": 1.0}, "share": {"1": 0.5}}]
    _, totals = accounted({**TABLE, "stages": stages, "launch_us": 100, "cores": 2}, [0, 0, 0])
    begun = {"launched": 100_000, "computed": 1_000_000}
    assert totals == [begun, begun, {"queued": 1_100_000, **begun}]


def test_the_line_to_the_device_is_taken_in_the_order_in_which_the_host_is_through() -> None:
    """While it wakes for the first the host does not hear of the second, though launching costs it nothing."""
    table = {"stages": ONE_AT_1, "wake_us": 100, "transfer_us_per_row": 50, "one_host": True}
    done_ns, totals = accounted(table, [0, 10_000])
    assert done_ns == [1_150_000, 1_200_000]
    computed = {"computed": 1_000_000}
    assert totals == [{"launched": 150_000, **computed}, {"unseen": 90_000, "launched": 100_000, **computed}]


def test_the_one_thread_wakes_for_a_launch_beside_others_and_not_for_one_that_follows_an_end() -> None:
    """The second finds it at rest, though the first computes, the third at what it does for the second; the fourth waits for
    the end of the first."""
    table = {"stages": ONE_AT_1, "launch_us": 50, "wake_us": 100, "one_host": True}
    done_ns, totals = accounted(table, [0, 400_000, 500_000, 600_000])
    assert done_ns == [1_150_000, 1_550_000, 1_600_000, 2_200_000]
    computed = {"computed": 1_000_000}
    assert totals[:2] == [{"launched": 150_000, **computed}] * 2
    assert totals[2] == {"unseen": 50_000, "launched": 50_000, **computed}
    assert totals[3] == {"waiting": 550_000, "launched": 50_000, **computed}
    _, totals = accounted(table, [0, 0])
    assert totals == [{"launched": 150_000, **computed}, {"launched": 200_000, **computed}], "once for both"


def test_what_keeps_the_host_busy_holds_up_others_and_the_rest_of_a_launch_does_not() -> None:
    busy = {"launch_us": 100, "launch_busy_us": 30}
    done_ns, totals = accounted({"stages": ONE_AT_1, **busy, "transfer_us_per_row": 10, "one_host": True}, [0, 0, 0])
    assert done_ns == [1_110_000, 1_140_000, 1_170_000]
    assert totals == [{"launched": done - 1_000_000, "computed": 1_000_000} for done in done_ns]


def test_each_further_row_of_a_launch_keeps_the_host_busy() -> None:
    flat = [{"latency_ms": {"1": 1.0, "4": 1.0}, "share": {"1": 0.1, "4": 0.1}}]
    busy = {"launch_us": 100, "launch_busy_us": 30, "launch_busy_us_per_row": 20}
    done_ns, totals = accounted({"stages": flat, **busy, "one_host": True}, [0] * 4, 4)
    assert done_ns == [1_160_000] * 4
    assert totals == [{"launched": 160_000, "computed": 1_000_000}] * 4


@pytest.mark.parametrize("name", POLICIES)
def test_in_a_roomy_device_computing_takes_what_the_profile_says(name: str) -> None:
    """So that copies, launches and boundaries are told apart from it exactly as the simulator charged them."""
    seen = set()
    for account in accounts_of(name, 0.1).values():
        for segment in account.segments:
            seen.add(segment.what)
            if segment.what == "computed":
                assert segment.lasted_ns == segment.alone_ns
    assert seen >= {"computed", "launched"}


def test_every_kind_of_segment_occurs_but_those_of_real_time() -> None:
    seen = {
        segment.what
        for name in POLICIES
        for share in (1.0, 0.1)
        for account in accounts_of(name, share).values()
        for segment in account.segments
    }
    assert seen == {"waiting", "queued", "held", "copied", "launched", "computed"}


def test_a_query_that_is_turned_away_has_an_account_too() -> None:
    run = recorded("NORMAL", 1.0, 400_000)
    accounts = accounts_of("NORMAL", 1.0, 400_000)
    rejected = [account for account in accounts.values() if account.outcome is Status.REJECTED]
    assert rejected
    for account in accounts.values():
        check(account)
        assert int(account.outcome) == run.journal.outcome[account.query_id]
    assert {account.reason for account in rejected} == set(run.journal.reasons)
    assert not any(account.operations for account in rejected)


@pytest.mark.parametrize("name", DRAWN)
@settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_whatever_befalls_a_run_its_accounts_are_whole(name: str, data: st.DataObject) -> None:
    """With failures, losses, cancellations and launches behind launches."""
    scenario = data.draw(scenarios())
    make = data.draw(policies(name, scenario.limits))
    sink = io.StringIO()
    machine = Machine(scenario.limits, scenario.profile, WatchedPolicy(make()))
    books = LawDriver(machine, scenario, Recorder(machine, sink)).run()
    history = History(scenario.limits, scenario.profile, make())
    accounts = Accounts(history.machine.profile, range(len(scenario.queries)), lambda _: None)
    for step in retrace(sink.getvalue().splitlines(keepends=True), history):
        accounts.follow(step)
    words = {"delivered": "COMPLETED", "forgotten": "CANCELLED"}
    assert {query_id: account.outcome.name for query_id, account in accounts.finished.items()} == {
        query_id: words.get(how, how.upper()) for query_id, how in books.ended.items()
    }
    for account in accounts.finished.values():
        check(account)


class Told:
    """A run told call by call, and the account of one of its queries."""

    def __init__(self, followed: int, done_ns: int | None = None) -> None:
        self.script = Script()
        history = History(Limits(2, 4, executors_per_stage=2), Profile.from_table(TABLE), self.script)
        self.history = history
        self.accounts = Accounts(history.machine.profile, [followed], lambda _: done_ns)
        self.followed = followed

    def call(self, now_ns: int, events: list[object], *operations: object) -> None:
        self.script.say = list(operations)  # type: ignore[arg-type]
        self.accounts.follow(self.history.step(events, now_ns))  # type: ignore[arg-type]

    @property
    def segments(self) -> list[tuple[object, ...]]:
        return [
            (each.what, each.begin_ns, each.end_ns, each.others, each.until)
            for each in self.accounts.finished[self.followed].segments
        ]


def test_who_was_waited_for_and_what_ended_it() -> None:
    """Query 0 is held for query 1, which waited to enter until query 9 came."""
    for followed in (0, 1):
        told = Told(followed)
        told.call(0, [QueryArrived(Query(0, 0))], New(0, (0,)), Advance(0, 0))
        told.call(100_000, [QueryArrived(Query(1, 100_000))])
        told.call(150_000, [QueryArrived(Query(9, 150_000))], Stretch(0, (1,)), Advance(1, 0))
        told.call(1_050_000, [LaunchFinished(0)], Hold(0, 1))
        told.call(1_300_000, [LaunchFinished(1)], Merge(0, 1), Advance(0, 1))
        told.call(2_600_000, [LaunchFinished(2)])
        own = [
            ("launched", 0, 50_000, (), ()),
            ("computed", 50_000, 1_050_000, (), ()),
            ("held", 1_050_000, 1_300_000, (1,), ("batch 1 left stage 0",)),
        ]
        tails = [
            ("waiting", 100_000, 150_000, (0,), ("query 9 arrived",)),
            ("launched", 150_000, 200_000, (), ()),
            ("computed", 200_000, 1_300_000, (0,), ()),
        ]
        both = [("launched", 1_300_000, 1_330_000, (), ()), ("computed", 1_330_000, 2_600_000, (), ())]
        assert told.segments == [*(tails if followed else own), *both]
        kinds = [part.done.kind for part in told.accounts.finished[followed].operations]
        assert kinds == (["stretch", "hold", "merge"] if followed else ["new", "stretch", "hold", "merge"])


def test_a_copy_is_told_from_the_launch_that_it_is_for() -> None:
    told = Told(0)
    told.call(
        0,
        [QueryArrived(Query(0, 0)), QueryArrived(Query(1, 0))],
        New(0, (0,)),
        New(0, (1,)),
        Advance(0, 0),
        Advance(1, 0),
    )
    told.call(1_050_000, [LaunchFinished(0), LaunchFinished(1)], Merge(0, 1), Advance(0, 1))
    told.call(3_000_000, [LaunchFinished(2)])
    assert [each[:3] for each in told.segments[2:]] == [
        ("copied", 1_050_000, 1_150_000),
        ("launched", 1_150_000, 1_180_000),
        ("computed", 1_180_000, 3_000_000),
    ]


def test_a_launch_behind_another_is_queued_until_that_one_ends_and_costs_the_host_nothing() -> None:
    told = Told(1)
    told.call(
        0, [QueryArrived(Query(0, 0)), QueryArrived(Query(1, 0))],
        New(0, (0,)), Advance(0, 1), New(0, (1,)), Advance(1, 1, behind=0),
    )  # fmt: skip
    told.call(2_050_000, [LaunchFinished(0)])
    told.call(4_050_000, [LaunchFinished(1)])
    assert told.segments == [
        ("queued", 0, 2_050_000, (0,), ("batch 0 left stage 1",)),
        ("computed", 2_050_000, 4_050_000, (), ()),
    ]


def test_a_copy_for_a_launch_that_was_over_before_anybody_heard_of_it_is_charged_to_no_other() -> None:
    """Batches 1 and 2 go on as one behind batch 0; its end and theirs are heard of together. Query 3 comes into their set."""
    told = Told(3)
    told.call(
        0, [QueryArrived(Query(number, 0)) for number in range(3)],
        New(0, (0,)), New(0, (1,)), Advance(0, 0), Advance(1, 0),
    )  # fmt: skip
    told.call(1_050_000, [LaunchFinished(0)], New(0, (2,)), Advance(0, 1), Advance(2, 0))
    told.call(2_100_000, [LaunchFinished(1), LaunchFinished(3)], Merge(1, 2), Advance(1, 1, behind=2))
    told.call(4_200_000, [LaunchFinished(2), LaunchFinished(4)])
    told.call(5_000_000, [QueryArrived(Query(3, 5_000_000)), QueryArrived(Query(4, 5_000_000))],
              New(0, (4,)), New(0, (3,)), Advance(3, 1), Advance(4, 1))  # fmt: skip
    told.call(9_000_000, [LaunchFinished(5), LaunchFinished(6)])
    assert [each[0] for each in told.segments] == ["launched", "computed"]


def test_in_real_time_a_query_is_seen_late_and_answered_late() -> None:
    told = Told(0, done_ns=2_900_000)
    told.call(700, [QueryArrived(Query(0, 200))], New(0, (0,)), Advance(0, 1))
    told.call(2_800_000, [LaunchFinished(0)])
    account = told.accounts.finished[0]
    check(account)
    assert account.response_ns == 2_899_800
    assert account.totals_ns() == {"unseen": 500, "launched": 50_000, "computed": 2_749_300, "answered": 100_000}


def test_what_came_before_the_scheduled_arrival_does_not_count() -> None:
    """A sender may be a little early; the response counts from the schedule."""
    told = Told(0, done_ns=2_900_000)
    told.call(700, [QueryArrived(Query(0, 20_700))], New(0, (0,)), Advance(0, 1))
    told.call(2_800_000, [LaunchFinished(0)])
    check(told.accounts.finished[0])
    assert told.segments[0][:3] == ("launched", 20_700, 50_700)


def test_records_of_another_run_are_refused() -> None:
    told = Told(0, done_ns=2_000_000)
    told.call(0, [QueryArrived(Query(0, 0))], New(0, (0,)), Advance(0, 1))
    with pytest.raises(ReportError, match="of different runs"):
        told.call(2_800_000, [LaunchFinished(0)])


def test_a_segment_knows_how_long_it_lasted() -> None:
    assert Segment("held", 3, 10).lasted_ns == 7
