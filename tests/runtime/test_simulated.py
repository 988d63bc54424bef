"""What the simulator charges for, to the nanosecond."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from dvabatch.batching.events import Event, HostPaced
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Advance, New, Operation
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import LoadDva, Normal
from dvabatch.batching.profile import Profile
from dvabatch.batching.view import View
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.simulated import SimulatedDriver

MS = 1_000_000
STAGES = [{"latency_ms": {"1": 1.0, "4": 1.0}}] * 2


def responses(arrivals_ns: list[int], batch: int = 1, speed: float = 1.0, **costs: float) -> list[int]:
    """Response of each query under NORMAL, one batch at a time, in nanoseconds."""
    profile = Profile.from_table({"stages": STAGES, **costs})
    machine = Machine(Limits(2, 4), profile, Normal(FillOrWait(batch, 0, 1)))
    journal = SimulatedDriver(machine, profile=profile.at_speed(speed)).run(arrivals_ns)
    return [done - arrival for done, arrival in zip(journal.done_ns, journal.arrival_ns, strict=True)]


def test_a_launch_costs_the_host_and_every_row_its_transfer() -> None:
    assert responses([0, 0, 0], batch=4, launch_us=100, transfer_us_per_row=10) == [2 * MS + 130_000] * 3


def test_waking_is_charged_where_everything_was_idle_and_not_behind_another() -> None:
    first, second, third = responses([0, 0, 50 * MS], wake_us=500)
    assert (first, second, third) == (2 * MS + 500_000, 4 * MS + 500_000, 2 * MS + 500_000)


def test_waking_is_charged_for_each_part_of_the_device_that_has_been_idle() -> None:
    """Two cores, of which a launch takes one. The third comes the instant that the first ends, and finds its core awake."""
    stages = [{"latency_ms": {"1": 1.0}, "share": {"1": 0.5}}]
    profile = Profile.from_table({"stages": stages, "wake_us": 250})
    machine = Machine(Limits(1, 1), profile, Normal(FillOrWait(1, 0, 4)))
    journal = SimulatedDriver(machine).run([0, MS // 2, MS + 250_000, 10 * MS])
    spent = [done - arrival for done, arrival in zip(journal.done_ns, journal.arrival_ns, strict=True)]
    assert spent == [MS + 250_000, MS + 250_000, MS, MS + 250_000]


def test_no_more_launches_run_at_a_time_than_there_are_cores() -> None:
    """Three at once on two cores: the third runs when the first has ended, slowed down by nobody, on a core that is awake."""
    stages = [{"latency_ms": {"1": 1.0}, "share": {"1": 0.5}}]
    profile = Profile.from_table({"stages": stages, "wake_us": 250, "cores": 2})
    machine = Machine(Limits(1, 1, 4, 4), profile, Normal(FillOrWait(1, 0, 4)))
    journal = SimulatedDriver(machine).run([0, 0, 0, 10 * MS])
    spent = [done - arrival for done, arrival in zip(journal.done_ns, journal.arrival_ns, strict=True)]
    assert spent == [MS + 250_000, MS + 250_000, 2 * MS + 250_000, MS + 250_000]


def test_what_does_not_begin_its_set_takes_longer_on_the_device() -> None:
    """A tail catches up by way of other rows; merged, it goes on where its head lies."""
    stages = [{"latency_ms": {"1": 1.0, "4": 1.0}, "share": {"1": 0.3}}] * 2
    profile = Profile.from_table({"stages": stages, "bounce_us": 100, "bounce_us_per_row": 20})
    machine = Machine(Limits(2, 4, 2, 2), profile, LoadDva(CatchingUp(4, 4, 1, None)))
    journal = SimulatedDriver(machine).run([0, MS // 2, MS // 2])
    caught_up_ns = MS // 2 + MS + 140_000
    assert list(journal.done_ns) == [caught_up_ns + MS] * 3


def test_a_pace_is_that_of_the_instant_at_which_a_launch_starts() -> None:
    profile = Profile.from_table({"stages": STAGES, "launch_us": 100})
    machine = Machine(Limits(2, 4), profile, Normal(FillOrWait(1, 0, 1)))
    driver = SimulatedDriver(machine, pace=lambda now_ns: 1.0 if now_ns < 5 * MS else 1.5)
    journal = driver.run([0, 10 * MS])
    spent = [done - arrival for done, arrival in zip(journal.done_ns, journal.arrival_ns, strict=True)]
    assert spent == [2 * MS + 100_000, 3 * MS + 150_000]


def test_a_pace_of_the_device_alone_leaves_host_and_line_as_they_are() -> None:
    costs = {"launch_us": 100, "transfer_us_per_row": 40, "wake_us": 30, "one_host": True}
    profile = Profile.from_table({"stages": STAGES, **costs})
    machine = Machine(Limits(2, 4), profile, Normal(FillOrWait(1, 0, 1)))
    driver = SimulatedDriver(machine, pace=lambda _: 1.5, of_device_alone=True)
    assert list(driver.run([0]).done_ns) == [3 * MS + 170_000]


def test_a_slower_clock_is_the_device_s_alone_and_slows_a_batch_down_as_the_profile_tells() -> None:
    costs = {"launch_us": 100, "transfer_us_per_row": 40, "one_host": True, "clock_power": {"1": 0.5}}
    profile = Profile.from_table({"stages": STAGES, **costs})
    machine = Machine(Limits(2, 4), profile, Normal(FillOrWait(1, 0, 1)))
    driver = SimulatedDriver(machine, clock_pace=lambda now_ns: 1.0 if now_ns < 5 * MS else 4.0)
    assert list(driver.run([0, 10 * MS]).done_ns) == [2 * MS + 140_000, 10 * MS + 4 * MS + 140_000]


def test_the_machine_hears_of_the_host_s_pace_with_what_happens_first() -> None:
    profile = Profile.from_table({"stages": STAGES, "launch_us": 100})
    machine = Machine(Limits(2, 4), profile, Normal(FillOrWait(1, 0, 1)))
    heard: list[Event] = []

    class Listening:
        def record(self, now_ns: int, events: Sequence[Event], *others: object) -> None:
            heard.extend(event for event in events if isinstance(event, HostPaced))

    driver = SimulatedDriver(machine, Listening(), profile.at_pace(1.404), host_pace=1.404)
    assert list(driver.run([0, 9 * MS]).done_ns) == [2 * MS + 140_400, 11 * MS + 140_400]
    assert heard == [HostPaced(140)]
    assert machine.ledger.costs.launch_ns == 140_000


def test_another_speed_is_nothing_that_the_machine_knows() -> None:
    assert responses([0], speed=1.5, launch_us=100) == [3 * MS + 150_000]


def held(arrivals_ns: list[int], most: int, batch: int = 1, deadline_ns: int | None = None) -> Journal:
    profile = Profile.from_table({"stages": STAGES})
    machine = Machine(Limits(2, 4), profile, Normal(FillOrWait(batch, 0, 4)))
    return SimulatedDriver(machine).run(arrivals_ns, deadline_ns=deadline_ns, max_concurrency=most)


def test_further_queries_are_held_back_until_one_has_ended() -> None:
    journal = held([0, 0, 0, 10 * MS], most=1, batch=4)
    assert list(journal.admitted_ns) == [0, 2 * MS, 4 * MS, 10 * MS]
    assert list(journal.done_ns) == [2 * MS, 4 * MS, 6 * MS, 12 * MS]
    assert journal.held == [1, 2]
    assert list(journal.arrival_ns) == [0, 0, 0, 10 * MS]


def test_a_bound_that_nothing_meets_changes_nothing() -> None:
    arrivals_ns = [0, 0, MS, MS, 3 * MS]
    bounded, free = held(arrivals_ns, most=5), held(arrivals_ns, most=1 << 40)
    assert list(bounded.done_ns) == list(free.done_ns)
    assert bounded.held == []


def test_those_who_are_rejected_make_room_too() -> None:
    """What was held back beyond its deadline never enters, and the next one does."""
    journal = held([0, 0, 2 * MS], most=1, deadline_ns=MS)
    assert list(journal.outcome) == [Outcome.COMPLETED, Outcome.REJECTED, Outcome.COMPLETED]
    assert journal.held == [1]  # the last one came the very instant that there was room
    assert journal.done_ns[2] == 4 * MS


def test_one_thread_on_the_host_launches_one_after_another() -> None:
    """Two batches at once on a device with room for both: with one host the second waits until the first is launched."""
    table = {
        "stages": [{"latency_ms": {"1": 1.0}, "share": {"1": 0.5}}],
        "launch_us": 100,
    }
    ends = []
    for one_host in (False, True):
        profile = Profile.from_table({**table, "one_host": one_host})
        machine = Machine(Limits(1, 1, buffer_sets=2, executors_per_stage=2), profile, Normal(FillOrWait(1, 0, 2)))
        ends.append(list(SimulatedDriver(machine).run([0, 0]).done_ns))
    assert ends == [[1_100_000, 1_100_000], [1_100_000, 1_200_000]]


def test_others_wait_for_what_keeps_the_one_thread_busy_and_for_no_more_of_a_launch() -> None:
    """Of 100 us the thread is busy for 30: the third of three at once begins when it has been so for all of them."""
    table = {
        "stages": [{"latency_ms": {"1": 1.0}, "share": {"1": 0.1}}],
        "launch_us": 100,
        "launch_busy_us": 30,
        "one_host": True,
    }
    machine = Machine(Limits(1, 1, 3, 3), Profile.from_table(table), Normal(FillOrWait(1, 0, 3)))
    assert list(SimulatedDriver(machine).run([0, 0, 0]).done_ns) == [1_100_000, 1_130_000, 1_160_000]


def test_the_one_thread_hears_of_an_end_when_it_is_through_with_what_it_does() -> None:
    """The second comes while the first computes and keeps the thread busy for 300 us, in which the first ends: the third, which
    comes meanwhile, and has to wait for an executor, begins when that is over."""
    table = {"stages": [{"latency_ms": {"1": 1.0}, "share": {"1": 0.1}}], "launch_us": 300, "one_host": True}
    machine = Machine(Limits(1, 1, 2, 2), Profile.from_table(table), Normal(FillOrWait(1, 0, 2)))
    done_ns = list(SimulatedDriver(machine).run([0, 1_200_000, 1_250_000]).done_ns)
    assert done_ns == [1_500_000, 2_500_000, 2_800_000]


def test_a_timer_that_is_due_while_the_one_thread_is_busy_fires_when_it_is_through() -> None:
    """Two fill a batch, which keeps it busy for 900 us; the third waits for company for 300 us at the most."""
    table = {"stages": [{"latency_ms": {"1": 5.0, "2": 6.0}, "share": {"1": 0.1}}], "launch_us": 900, "one_host": True}
    machine = Machine(Limits(1, 2, 4, 4), Profile.from_table(table), Normal(FillOrWait(2, 300_000, 4)))
    assert list(SimulatedDriver(machine).run([0, 0, 0]).done_ns) == [6_900_000, 6_900_000, 6_800_000]


def test_only_a_bound_holds_a_query_back_and_a_busy_thread_does_not() -> None:
    table = {"stages": [{"latency_ms": {"1": 1.0}, "share": {"1": 0.1}}], "launch_us": 300, "one_host": True}

    def run(most: int | None) -> Journal:
        machine = Machine(Limits(1, 1, 2, 2), Profile.from_table(table), Normal(FillOrWait(1, 0, 2)))
        return SimulatedDriver(machine).run([0, 100_000, 200_000], max_concurrency=most)

    for most in (None, 100):
        assert (list(run(most).admitted_ns), run(most).held) == ([0, 100_000, 200_000], [])
    held = run(2)
    assert (list(held.admitted_ns), held.held) == ([0, 100_000, 1_300_000], [2])
    held = run(1)
    assert (list(held.admitted_ns), held.held) == ([0, 1_300_000, 2_600_000], [1, 2])


class Behind:
    """Every query by itself; the second goes behind the first, on its executor."""

    digest = "behind"

    def plan(self, view: View) -> Iterator[Operation]:
        while view.waiting.count:
            batch = view.next_batch_id
            yield New(0, view.waiting.first(0, 1))
            yield Advance(batch, 0, behind=0 if batch == 1 else None)


def test_a_launch_behind_another_wakes_nobody() -> None:
    stage = {"latency_ms": {"1": 1.0}, "share": {"1": 0.1}}
    profile = Profile.from_table({"stages": [stage], "launch_us": 50, "wake_us": 100, "one_host": True})
    driver = SimulatedDriver(Machine(Limits(1, 1, 3, 3), profile, Behind()))
    assert list(driver.run([0, 400_000, 1_300_000]).done_ns) == [1_150_000, 2_150_000, 2_450_000]


@pytest.mark.parametrize(
    ("arrivals_us", "done_us"),
    [
        ([0, 400], [1150, 1550]),  # at rest, though another is under way
        ([0, 100], [1150, 1200]),  # busy until it hears of the second
        ([0, 1150], [1150, 2200]),  # it has just heard of an end
        ([0, 1151], [1150, 2301]),
    ],
)
def test_the_one_thread_wakes_where_it_was_at_rest(arrivals_us: list[int], done_us: list[int]) -> None:
    stage = {"latency_ms": {"1": 1.0}, "share": {"1": 0.1}}
    table = {"stages": [stage], "launch_us": 50, "wake_us": 100, "one_host": True}
    machine = Machine(Limits(1, 1, 2, 2), Profile.from_table(table), Normal(FillOrWait(1, 0, 2)))
    assert list(SimulatedDriver(machine).run([1000 * us for us in arrivals_us]).done_ns) == [
        1000 * us for us in done_us
    ]


def test_others_wait_for_the_rows_of_a_launch_as_well() -> None:
    """The thread is busy for 30 us, and for 20 with each of three further rows; the line then for 10 with each row."""
    table = {
        "stages": [{"latency_ms": {"1": 1.0, "4": 1.0}, "share": {"1": 0.1, "4": 0.1}}],
        "launch_us": 100, "launch_busy_us": 30, "launch_busy_us_per_row": 20, "transfer_us_per_row": 10, "one_host": True,
    }  # fmt: skip
    machine = Machine(Limits(1, 4, 2, 2), Profile.from_table(table), Normal(FillOrWait(4, 0, 2)))
    done_ns = list(SimulatedDriver(machine).run([0] * 8).done_ns)
    first_ns = 100_000 + 3 * 20_000 + 4 * 10_000 + 1_000_000
    assert done_ns == [first_ns] * 4 + [first_ns + 30_000 + 3 * 20_000] * 4


def test_what_one_thread_does_for_a_launch_it_does_without_a_break() -> None:
    """The first of two batches finds the host asleep: the second waits for its waking and its launching, both."""
    table = {
        "stages": [{"latency_ms": {"1": 1.0}, "share": {"1": 0.5}}],
        "launch_us": 50,
        "wake_us": 100,
        "one_host": True,
    }
    machine = Machine(
        Limits(1, 1, buffer_sets=2, executors_per_stage=2), Profile.from_table(table), Normal(FillOrWait(1, 0, 2))
    )
    assert list(SimulatedDriver(machine).run([0, 0]).done_ns) == [1_150_000, 1_200_000]


@pytest.mark.parametrize("policy", [Normal(FillOrWait(8, 0, 4)), LoadDva(CatchingUp(8, 8, 1, MS))])
def test_a_crowded_device_answers_every_query_and_is_slower_than_one_without_a_crowd(policy: Policy) -> None:
    stage = {"latency_ms": {"1": 0.5, "8": 1.5}, "share": {"1": 0.2, "8": 0.9}}
    table: dict[str, Any] = {"stages": [stage, stage], "launch_us": 20, "transfer_us_per_row": 5, "one_host": True}
    crowding = {"1": {"2": 1.5, "4": 2.0}, "8": {"2": 1.9, "4": 3.8}}
    arrivals_ns = np.cumsum(np.random.default_rng(7).exponential(0.4 * MS, 500)).astype(np.int64)
    means = []
    for crowd in ({}, {"crowding": crowding}):
        profile = Profile.from_table({**table, **crowd})
        journal = SimulatedDriver(Machine(Limits(2, 8, 4, 4), profile, policy, debug=True)).run(arrivals_ns)
        assert set(journal.outcome) == {Outcome.COMPLETED}
        responses_ns = np.asarray(journal.done_ns) - arrivals_ns
        assert responses_ns.min() >= 1_000_000
        means.append(responses_ns.mean())
    assert means[0] < means[1] < 20 * means[0]
