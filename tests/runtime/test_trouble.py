"""Faults of every kind under every driver: every query ends once and for a reason, the rest goes on, and the run replays."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Advance, New, Operation
from dvabatch.batching.place import Place
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.states import ExecutorState
from dvabatch.batching.view import View
from dvabatch.runtime.faults import Cancelling, Failing, Fault, Faults, Hanging, Hurrying, LosingDevice, Slow
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch.runtime.trace import Recorder, retrace
from engines.base import Array
from tests.laws.random_policy import RandomPolicy
from tests.runtime.fake_device import FakeDevice, FakeStream
from tests.runtime.rig import Rig, Scripted, Served, quick_table, table_rig
from tests.runtime.test_polling import tokens
from tests.runtime.test_threaded import LIMITS, MAX_BATCH, POLICIES, STAGES, arrivals

MS = 1_000_000
PATIENT_NS = 300 * MS  # far more than a table of microseconds takes on a busy machine
QUERIES = 60
ONE_BY_ONE = Normal(FillOrWait(1, 0, 1))
GIVEN_UP = "launch of stages 0 to 2 given up: no end after 300 ms"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left, whatever drove it."""

    journal: Journal
    machine: Machine
    trace: str
    given_up: int
    befell: Mapping[str, int]
    wrong: tuple[int, ...]  # queries whose answer is not theirs

    def ended(self, outcome: Outcome) -> set[int]:
        return {query_id for query_id, how in enumerate(self.journal.outcome) if how == outcome}


Drive = Callable[[Policy, Sequence[Fault], Sequence[int], Limits], Ran]


def patience_ns(faults: Sequence[Fault]) -> int:
    """Where nothing hangs nothing is to be given up, however long the machine stands still meanwhile."""
    return PATIENT_NS if any(isinstance(fault, Hanging) for fault in faults) else 200 * PATIENT_NS


def threaded(policy: Policy, faults: Sequence[Fault], instants: Sequence[int], limits: Limits = LIMITS) -> Ran:
    rig = replace(table_rig(policy, limits), timeout_ns=patience_ns(faults), faults=faults)
    served = rig.pull(instants)
    wrong = tuple(query_id for query_id, answer in served.tokens().items() if answer != [query_id, STAGES])
    return Ran(served.journal, served.machine, served.trace, served.given_up, served.befell, wrong)


def polled(policy: Policy, faults: Sequence[Fault], instants: Sequence[int], limits: Limits = LIMITS) -> Ran:
    ran = tokens(policy, limits=limits, timeout_ns=patience_ns(faults), faults=faults).pull(instants)
    answers = {query_id: answer["answer"].tolist() for query_id, answer in ran.answers.items()}
    wrong = tuple(query_id for query_id, answer in answers.items() if answer != [query_id, STAGES])
    return Ran(ran.journal, ran.machine, ran.trace, ran.given_up, ran.befell, wrong)


def simulated(policy: Policy, faults: Sequence[Fault], instants: Sequence[int], limits: Limits = LIMITS) -> Ran:
    profile, _ = quick_table(STAGES, limits.max_batch)
    machine, trace, befall = Machine(limits, profile, policy, debug=True), io.StringIO(), Faults(faults, seed=1)
    driver = SimulatedDriver(machine, Recorder(machine, trace), timeout_ns=PATIENT_NS, faults=befall)
    journal = driver.run(instants)
    assert machine.idle
    return Ran(journal, machine, trace.getvalue(), driver.given_up, befall.counts, ())


DRIVERS: dict[str, Drive] = {"threaded": threaded, "polled": polled, "simulated": simulated}
KINDS: dict[str, list[Fault]] = {
    "slow": [Slow(1, 20)],
    "fail": [Failing(1, 0.3)],
    "hang": [Hanging(0, launch=2)],
    "cancel": [Cancelling(0.3, 0)],
    "deadline": [Hurrying(0.3, 0)],
    "device_lost": [LosingDevice(2 * MS)],
}
EVERYTHING = [fault for kind in KINDS.values() for fault in kind if not isinstance(fault, LosingDevice)]


def all_accounted_for(ran: Ran, limits: Limits = LIMITS, policy: Policy | None = None) -> None:
    """Every query ended once and those without an answer for a reason; a fresh machine gives the same commands."""
    ends = [ran.ended(how) for how in Outcome if how is not Outcome.OPEN]
    assert sum(map(len, ends)) == ran.journal.count
    assert set().union(*ends) == set(range(ran.journal.count))
    assert sum(ran.journal.reasons.values()) == ran.journal.count - len(ran.ended(Outcome.COMPLETED))
    assert ran.wrong == ()
    if policy is not None:
        fresh = History(limits, ran.machine.profile, policy)
        assert len(list(retrace(io.StringIO(ran.trace), fresh))) == ran.trace.count("\n") - 1


@pytest.mark.parametrize("name", ["NORMAL", "HYBRID_DVA"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("driver", DRIVERS)
def test_offered_is_what_was_completed_rejected_failed_and_cancelled(driver: str, kind: str, name: str) -> None:
    ran = DRIVERS[driver](POLICIES[name], KINDS[kind], arrivals(QUERIES), LIMITS)
    all_accounted_for(ran, LIMITS, POLICIES[name])
    assert ran.befell[kind] > 0
    assert ran.given_up == (kind == "hang")
    bad = {
        "slow": Outcome.COMPLETED, "fail": Outcome.FAILED, "hang": Outcome.FAILED, "cancel": Outcome.CANCELLED,
        "deadline": Outcome.REJECTED, "device_lost": Outcome.REJECTED,
    }[kind]  # fmt: skip
    if kind not in {"cancel", "deadline", "device_lost"} or driver == "simulated":
        # On a real clock a query may be through before it is cancelled; and at worst all have come before the loss.
        assert ran.ended(bad)
    others = (
        set(Outcome) - {Outcome.OPEN, Outcome.COMPLETED, bad} - ({Outcome.FAILED} if kind == "device_lost" else set())
    )
    assert not any(ran.ended(how) for how in others)


@pytest.mark.parametrize(
    ("driver", "name"),
    [("simulated", name) for name in POLICIES]
    + [(driver, name) for driver in ("threaded", "polled") for name in ("LOAD_DVA", "OPERATOR_DVA")],
)
def test_everything_at_once_leaves_nobody_waiting(driver: str, name: str) -> None:
    ran = DRIVERS[driver](POLICIES[name], EVERYTHING, arrivals(QUERIES, seed=3), LIMITS)
    all_accounted_for(ran, LIMITS, POLICIES[name])
    assert ran.ended(Outcome.COMPLETED)


@pytest.mark.parametrize(("driver", "seeds"), [("simulated", range(12)), ("threaded", [4]), ("polled", [4])])
def test_a_policy_without_sense_leaves_nobody_waiting_either(driver: str, seeds: Sequence[int]) -> None:
    """It queues launches behind others, some of which hang: these never start, and their batches stand where they stood."""
    for seed in seeds:
        faults = [*EVERYTHING, Hanging(1, launch=5)]
        ran = DRIVERS[driver](RandomPolicy(seed), faults, arrivals(QUERIES, seed), LIMITS)
        all_accounted_for(ran, LIMITS, RandomPolicy(seed))


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_driver_loses_the_same_launches(driver: str) -> None:
    """One query after the other: the launches are the same under every driver, and so is what befalls them."""
    instants = [number * MS for number in range(20)]
    faults: list[Fault] = [Failing(1, 0.2), Failing(2, launch=11), Hanging(0, launch=17)]
    plain = simulated(ONE_BY_ONE, faults, instants)
    ran = DRIVERS[driver](ONE_BY_ONE, faults, instants, LIMITS)
    assert ran.ended(Outcome.FAILED) == plain.ended(Outcome.FAILED) >= {11, 17}
    assert ran.befell == plain.befell


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_launch_that_hangs_fails_its_own_queries_and_a_new_executor_takes_over(driver: str) -> None:
    """There is one executor of each stage: without a successor nothing could go on."""
    limits = Limits(STAGES, 2, buffer_sets=3, executors_per_stage=1)
    ran = DRIVERS[driver](Normal(FillOrWait(2, 0, 1)), [Hanging(1, launch=1)], [0] * 8, limits)
    assert ran.ended(Outcome.FAILED) == {2, 3}
    assert ran.journal.reasons == {GIVEN_UP: 2}
    assert ran.ended(Outcome.COMPLETED) == {0, 1, 4, 5, 6, 7}
    executors = ran.machine.ledger.executors
    for stage in range(STAGES):
        assert [executors.state(stage, index) for index in range(executors.count(stage))] == [
            ExecutorState.LOST,
            ExecutorState.IDLE,
        ]
    assert ran.machine.ledger.free_sets == 2  # the third holds rows that may still be written


@pytest.mark.parametrize("driver", DRIVERS)
def test_when_the_last_buffer_set_hangs_what_is_left_fails_and_says_so(driver: str) -> None:
    limits = Limits(STAGES, 1, buffer_sets=2, executors_per_stage=1)
    instants = [0, 0, 0, 0, 900 * MS]  # the last one comes when all is over
    ran = DRIVERS[driver](ONE_BY_ONE, [Hanging(0, launch=1), Hanging(0, launch=2)], instants, limits)
    assert ran.ended(Outcome.COMPLETED) == {0}
    assert ran.ended(Outcome.FAILED) == {1, 2, 3}
    assert ran.ended(Outcome.REJECTED) == {4}
    assert ran.journal.reasons == {GIVEN_UP: 2, f"no buffer set is left: {GIVEN_UP}": 2}
    assert ran.machine.dead_ns is not None


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_lost_device_fails_what_is_on_it_and_refuses_what_comes(driver: str) -> None:
    instants = [0] * 6 + [120 * MS, 500 * MS]  # the last one when what hangs would be overdue
    faults: list[Fault] = [Hanging(0, launch=0), LosingDevice(100 * MS)]  # so that something is on it for certain
    ran = DRIVERS[driver](Normal(FillOrWait(2, 0, 1)), faults, instants, Limits(STAGES, 2, 2, 1))
    assert ran.ended(Outcome.FAILED) == set(range(6))
    assert ran.ended(Outcome.REJECTED) == {6, 7}
    assert ran.journal.reasons == {"device lost: injected": 8}
    assert ran.given_up == 0


def test_a_slow_stage_takes_so_many_times_as_long_in_simulation() -> None:
    instants = [0, 10 * MS, 20 * MS]
    ran = simulated(ONE_BY_ONE, [Slow(1, 20, 5 * MS, 15 * MS)], instants)
    spent = [done - came for done, came in zip(ran.journal.done_ns, instants, strict=True)]
    assert spent == [30_000, 30_000 + 19 * 10_000, 30_000]


def test_a_fault_that_never_strikes_changes_nothing_in_simulation() -> None:
    never = simulated(POLICIES["HYBRID_DVA"], [Failing(0, launch=10**6)], arrivals(QUERIES))
    without = simulated(POLICIES["HYBRID_DVA"], [], arrivals(QUERIES))
    assert never.trace == without.trace


def test_without_a_word_a_simulation_waits_for_what_hangs_as_long_as_is_usual() -> None:
    profile, _ = quick_table(STAGES, 2)
    machine = Machine(Limits(STAGES, 2), profile, ONE_BY_ONE)
    driver = SimulatedDriver(machine, faults=Faults([Hanging(0, launch=0)], 0))
    journal = driver.run([0])
    assert list(journal.done_ns) == [10_000 * MS]


def test_a_driver_that_sleeps_wakes_for_what_goes_wrong() -> None:
    profile, _ = quick_table(STAGES, 2)
    befall = Faults([LosingDevice(700)], 0)
    driver = ThreadedDriver(
        Machine(Limits(STAGES, 2), profile, ONE_BY_ONE),
        TensorTable(lay_out(quick_table()[1], [{"query": np.zeros((1, 2), np.int64)}], ["answer"]), 1, 2),
        JournalObserver(Journal(1)),
        clock=lambda: 0,
        timeout_ns=500,
        faults=befall,
    )
    assert driver._due_in_ns(900) == 700
    launch = Launch(0, 0, 0, 0, 2, Place(0, 0, 1), (0,), (0, 0, 0))
    driver._watchdog.started(launch, 100)
    assert driver._due_in_ns(900) == 600
    befall.due(700)
    driver._watchdog.ended(0, 200)
    assert driver._due_in_ns(900) == 900
    assert driver._due_in_ns(None) is None


# Launches that hang in earnest ----------------------------------------------------------------------------------------


class Stuck:
    """Stage 0 hangs with one query until it is let go."""

    def __init__(self, query_id: int) -> None:
        self.query_id = query_id
        self.free, self.back = threading.Event(), threading.Event()

    def __call__(self, rows: Array) -> None:
        if self.query_id in rows[:, 0].tolist() and rows[0, 1] == 0:
            assert self.free.wait(30)
            self.back.set()


def stuck_rig(stuck: Callable[[Array], None], limits: Limits) -> Rig:
    return replace(table_rig(Normal(FillOrWait(2, 0, 1)), limits, before=stuck), timeout_ns=PATIENT_NS)


def hung_but_once(served: Served) -> None:
    assert served.ended(Outcome.FAILED) == [2, 3]
    assert served.journal.reasons == {GIVEN_UP: 2}
    assert served.ended(Outcome.COMPLETED) == [0, 1, 4, 5, 6, 7]
    assert all(served.tokens()[query_id] == [query_id, STAGES] for query_id in served.ended(Outcome.COMPLETED))


def test_a_thread_that_hangs_is_left_behind_with_the_memory_that_it_may_write() -> None:
    stuck = Stuck(3)
    rig = stuck_rig(stuck, Limits(STAGES, 2, buffer_sets=3, executors_per_stage=1))
    served = rig.pull([0] * 8)
    hung_but_once(served)
    lost = next(launch.place for launch in served.launches if 3 in launch.query_ids)
    assert all(launch.place.buffer_set != lost.buffer_set for launch in served.launches if launch.query_ids[0] > 3)
    # The next run in this memory gets a fresh set in its place: what comes back late writes where nobody reads.
    fresh = served.table.rows(lost, 0, ("answer",))["answer"]
    assert (fresh == -1).all()
    stuck.free.set()
    assert stuck.back.wait(30)
    left = [thread for thread in threading.enumerate() if thread.name.startswith("launch-")]
    for thread in left:
        thread.join(30)
    assert not any(thread.is_alive() for thread in left)  # it came back, and ended
    assert (fresh == -1).all()


def test_a_launch_that_ends_after_it_was_given_up_is_nobodys_and_its_rows_are_not_used() -> None:
    """It comes back while the run goes on."""
    stuck = Stuck(3)

    def before(rows: Array) -> None:
        if rows[0, 0] >= 6:
            stuck.free.set()
            assert stuck.back.wait(30)
        stuck(rows)

    served = stuck_rig(before, Limits(STAGES, 2, buffer_sets=3, executors_per_stage=1)).pull([0] * 8)
    hung_but_once(served)


class HangingStream(FakeStream):
    """A stream on which nothing runs any more, once it is told."""

    def hang(self) -> None:
        self.entries.append((lambda: False, lambda: None))


class HangingDevice(FakeDevice):
    """A device whose streams may hang."""

    def stream(self) -> FakeStream:
        stream = HangingStream(self)
        self._streams.append(stream)
        return stream


def test_a_track_that_hangs_is_never_used_again_and_holds_nobody_up() -> None:
    device = HangingDevice()
    seen: list[int] = []

    def hang(shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Stage 1 of the third launch."""
        seen.append(1)
        if len(seen) == 3:
            track = next(stream for stream in device._streams[2:] if isinstance(stream, HangingStream))
            track.hang()

    limits = Limits(STAGES, 2, buffer_sets=3, executors_per_stage=1)
    run = tokens(
        Normal(FillOrWait(2, 0, 1)), limits=limits, device=device, graphs=0, timeout_ns=PATIENT_NS, refuse=hang
    )
    ran = run.pull([0] * 12)
    failed = ran.ended(Outcome.FAILED)
    assert len(failed) == 2
    assert ran.journal.reasons == {GIVEN_UP: 2}
    assert ran.ended(Outcome.COMPLETED) == [query_id for query_id in range(12) if query_id not in failed]
    assert all(answer["answer"].tolist() == [query_id, STAGES] for query_id, answer in ran.answers.items())
    with pytest.raises(Exception, match="hung in an earlier run"):
        ran.launcher.serve(lambda _: None, {})


def test_a_track_that_hangs_with_work_behind_it_takes_the_device_along() -> None:
    """What is queued on a stream cannot be called back, and might run when its rows are another's."""
    device = HangingDevice()

    def hang(shapes: Mapping[str, tuple[int, ...]]) -> None:
        for stream in device._streams[2:]:
            assert isinstance(stream, HangingStream)
            stream.hang()

    def script(view: View) -> list[Operation]:
        if view.waiting.count < 2:  # the one behind stands where it stood, and is launched again
            return [Advance(batch.id, STAGES - 1) for batch in view.ready]
        return [New(0, (0,)), New(0, (1,)), Advance(0, STAGES - 1), Advance(1, STAGES - 1, behind=0)]

    run = tokens(Scripted(script), device=device, graphs=0, timeout_ns=PATIENT_NS, refuse=hang)
    ran = run.pull([0, 0])
    assert ran.ended(Outcome.FAILED) == [0, 1]
    assert ran.journal.reasons == {GIVEN_UP: 1, "device lost: a launch hung with 1 queued behind it": 1}


def test_a_largest_batch_is_hurt_as_well() -> None:
    ran = threaded(Normal(FillOrWait(MAX_BATCH, 0, 1)), [Failing(0, launch=0)], [0] * MAX_BATCH)
    assert ran.ended(Outcome.FAILED) == set(range(MAX_BATCH))
