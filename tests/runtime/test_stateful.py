"""The threaded driver as a state machine: Hypothesis sends queries, gives them up, breaks stages, lets launches hang and come
back late, and loses the device, in any order, on real threads; a plain model says what may come of it.

Every launch waits at a gate until a rule lets it go, and time is a counter, so that what runs together is Hypothesis's choice
and not the clock's: a find can be repeated. Real time only bounds how long is waited for what is bound to come.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import DeviceLost, Event, QueryArrived, QueryCancelled, TimerFired
from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.query import Query
from dvabatch.compiled import is_compiled
from dvabatch.runtime.arrivals import NoArrivals
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch.runtime.trace import Recorder, retrace
from engines.base import Array
from engines.errors import EngineError
from tests.laws.random_policy import RandomPolicy
from tests.runtime.rig import Around, quick_table, token_of
from tests.runtime.test_threaded import MAX_BATCH, POLICIES, STAGES

pytestmark = pytest.mark.skipif(is_compiled(), reason="nobody inherits from a compiled driver: `make slow` first")
MS = 1_000_000
TIMEOUT_NS = 100 * MS
MAX_QUEUE = 5
LIMITS = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=2, max_queue=MAX_QUEUE)
PATIENCE_S = 20.0
MOST_QUERIES = 400
LETTERS = st.integers(0, 7)  # which of those that are there, counted round


class GatedLauncher(Launcher):
    """Launches wait at a gate; whoever lets one go says at which stage it is to fail, if at any."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.own = threading.local()
        self.open = False
        self._news = threading.Condition()
        self._waiting: dict[int, Launch] = {}
        self._let_go: dict[int, int | None] = {}

    @property
    def waiting(self) -> dict[int, Launch]:
        with self._news:
            return dict(sorted(self._waiting.items()))

    def let_go(self, launch_id: int, fails_at: int | None = None) -> None:
        with self._news:
            del self._waiting[launch_id]
            self._let_go[launch_id] = fails_at
            self._news.notify_all()

    def open_for_good(self) -> None:
        with self._news:
            self.open = True
            self._news.notify_all()

    def _run(self, launch: Launch) -> Event:
        with self._news:
            self._waiting[launch.id] = launch
            self._news.wait_for(lambda: self.open or launch.id in self._let_go)
            self._waiting.pop(launch.id, None)
            self.own.fails_at = self._let_go.pop(launch.id, None)
        return super()._run(launch)


class ObservedDriver(ThreadedDriver):
    """Knows when nothing is left to do, and takes no event while `held`: what is posted meanwhile is one instant."""

    def prepare(self) -> None:
        self.held = threading.Lock()
        self.posted = self.taken = 0
        self.quiet = threading.Event()
        self._counting = threading.Lock()

    def post(self, event: Event) -> None:
        with self._counting:
            self.posted += 1
        super().post(event)

    def _take(self, event: Event | None, events: list[Event]) -> None:
        self.quiet.clear()
        self.taken += event is not None
        super()._take(event, events)

    def _drain(self) -> list[Event]:
        with self.held:
            return super()._drain()

    def _wait(self, starter: Launcher, next_ns: int | None) -> None:  # type: ignore[override]
        self.quiet.set()
        super()._wait(starter, next_ns)
        self.quiet.clear()


class DriverMachine(RuleBasedStateMachine):
    """One run of the driver."""

    @initialize(policy=st.one_of(st.sampled_from(sorted(POLICIES)), st.integers(0, 2**16)))
    def begin(self, policy: str | int) -> None:
        self.make_policy = (lambda: POLICIES[policy]) if isinstance(policy, str) else (lambda: RandomPolicy(policy))
        self.now_ns, self.ticking = 0, False
        self.sent = 0
        self.given_up: set[int] = set()  # queries, by whoever sent them
        self.hurt: set[int] = set()  # queries of launches that failed or were given up
        self.late: set[int] = set()  # launches that were given up and have not come back
        self.lost = False
        profile, tables = quick_table(STAGES, MAX_BATCH)
        stages = [Around(each, self._maybe_fail(number)) for number, each in enumerate(tables)]
        examples = [{name: rows[None] for name, rows in token_of(0).items()}]
        table = TensorTable(lay_out(stages, examples, ["answer"]), LIMITS.buffer_sets, MAX_BATCH, poison=True)
        policy_of_run: Policy = self.make_policy()
        self.machine = Machine(LIMITS, profile, policy_of_run, debug=True)
        self.observer = JournalObserver(Journal(MOST_QUERIES), range(MOST_QUERIES))
        self.trace = io.StringIO()
        recorder = Recorder(self.machine, self.trace)
        self.driver = ObservedDriver(
            self.machine, table, self.observer, listener=recorder, clock=self._clock, timeout_ns=TIMEOUT_NS
        )
        self.driver.prepare()
        self.launcher = GatedLauncher(stages, table, token_of, {}, self.driver.post)
        self.broke: BaseException | None = None
        self.thread = threading.Thread(target=self._drive, daemon=True)
        self.thread.start()
        self.settle()

    # What Hypothesis may do

    @precondition(lambda self: self.sent + 12 <= MOST_QUERIES)
    @rule(count=st.integers(1, 12), hurry=st.sampled_from([None, None, 0, 20]))
    def send(self, count: int, hurry: int | None) -> None:
        """Some at once. Those beyond `max_queue` are refused in the same instant, the others are not."""
        room, ids = MAX_QUEUE - self.machine.ledger.waiting.count, range(self.sent, self.sent + count)
        deadline_ns = None if hurry is None else self.now_ns + hurry * MS
        self.sent += count
        self.post([QueryArrived(Query(number, self.now_ns, None, deadline_ns)) for number in ids])
        refused = [number for number in ids if self.outcome(number) is Outcome.REJECTED]
        assert refused == list(ids if self.is_dead else ids[room:])

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 63))
    def cancel(self, which: int) -> None:
        """The latest ones first; one that has ended already stays as it ended."""
        number = max(0, self.sent - 1 - which)
        before = self.outcome(number)
        self.given_up.add(number)
        self.post([QueryCancelled(number)])
        assert self.outcome(number) is (Outcome.CANCELLED if before is Outcome.OPEN else before)

    @precondition(lambda self: self.launcher.waiting)
    @rule(which=LETTERS)
    def finish(self, which: int) -> None:
        self.let_go([self.chosen(which)])

    @precondition(lambda self: len(self.launcher.waiting) > 1)
    @rule()
    def finish_all_at_once(self) -> None:
        self.let_go(list(self.launcher.waiting))

    @precondition(lambda self: self.launcher.waiting)
    @rule(which=LETTERS, stage=st.integers(0, STAGES - 1))
    def fail(self, which: int, stage: int) -> None:
        """Fails its own queries, all of them; those of a launch that nobody waits for any more have ended before."""
        launch_id = self.chosen(which)
        launch = self.launcher.waiting[launch_id]
        at = min(max(stage, launch.first_stage), launch.last_stage)
        if launch_id in self.machine.ledger.launches:
            self.hurt.update(launch.query_ids)
        self.let_go([launch_id], at)
        assert all(self.outcome(number) is not Outcome.OPEN for number in launch.query_ids)

    @rule(ms=st.integers(1, 60))
    def let_time_pass(self, ms: int) -> None:
        """What has been under way for 100 ms is given up, and is late if it comes back. What was queued behind it stands where
        it stood."""
        before = dict(self.machine.ledger.launches)
        given_up = self.driver.given_up
        self.now_ns += ms * MS
        self.post([TimerFired()])
        live, at_gates = self.machine.ledger.launches, self.launcher.waiting
        gone = [launch for launch in before.values() if launch.id in at_gates and launch.id not in live]
        assert len(gone) == self.driver.given_up - given_up
        self.late |= {launch.id for launch in gone}
        for launch in gone:
            self.hurt.update(launch.query_ids)
            assert all(self.outcome(number) is not Outcome.OPEN for number in launch.query_ids)

    @precondition(lambda self: self.sent > 20 and not self.lost)
    @rule()
    def lose_the_device(self) -> None:
        self.lost = True  # what was under way comes back none the less, and means nothing
        self.post([DeviceLost("pulled")])
        assert self.machine.idle
        assert Outcome.OPEN not in set(map(self.outcome, range(self.sent)))

    # What must hold

    @invariant()
    def the_queue_is_bounded_and_every_end_is_allowed(self) -> None:
        if not hasattr(self, "machine"):
            return
        assert self.machine.ledger.waiting.count <= MAX_QUEUE
        for number in range(self.sent):
            end = self.outcome(number)
            if end is Outcome.COMPLETED:
                assert self.observer.answers[number]["answer"].tolist() == [number, STAGES]
                assert number not in self.hurt
            elif end is Outcome.CANCELLED:
                assert number in self.given_up
            elif end is Outcome.FAILED:
                assert number in self.hurt or self.is_dead

    def teardown(self) -> None:
        """All that is left ends by itself; all ends are accounted for; a fresh machine gives the same commands."""
        if not hasattr(self, "thread"):
            return
        self.ticking = True
        self.launcher.open_for_good()
        self.driver.close()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        if self.broke is not None:
            raise self.broke
        assert self.machine.idle
        journal = self.observer.journal
        ends = [self.outcome(number) for number in range(self.sent)]
        assert Outcome.OPEN not in ends
        assert sum(journal.reasons.values()) == self.sent - ends.count(Outcome.COMPLETED)
        assert sorted(self.observer.answers) == [n for n, end in enumerate(ends) if end is Outcome.COMPLETED]
        fresh, trace = History(LIMITS, self.machine.profile, self.make_policy()), self.trace.getvalue()
        assert len(list(retrace(io.StringIO(trace), fresh))) == trace.count("\n") - 1

    # How it is done

    @property
    def is_dead(self) -> bool:
        """Whether nothing can enter any more: the device or the last buffer set is lost."""
        return self.machine.dead_ns is not None

    def outcome(self, number: int) -> Outcome:
        return Outcome(self.observer.journal.outcome[number])

    def chosen(self, which: int) -> int:
        there = list(self.launcher.waiting)
        return there[which % len(there)]

    def let_go(self, launch_ids: Sequence[int], fails_at: int | None = None) -> None:
        """Their ends are one instant, in whatever order the threads report them."""
        with self.driver.held:
            wanted = self.driver.posted + len(set(launch_ids) - self.late)
            for launch_id in launch_ids:
                self.launcher.let_go(launch_id, fails_at)
            self.wait_until(lambda: self.driver.posted == wanted)
        self.late -= set(launch_ids)
        self.settle()

    def post(self, events: Sequence[Event]) -> None:
        with self.driver.held:
            for event in events:
                self.driver.post(event)
        self.settle()

    def settle(self) -> None:
        """Until all that was posted is done, and whatever can run stands at its gate."""
        self.wait_until(self._is_settled)

    def _is_settled(self) -> bool:
        if not self.driver.quiet.is_set() or self.driver.posted != self.driver.taken:
            return False
        live = dict(self.machine.ledger.launches)
        begun = {launch.id for launch in live.values() if launch.after not in live}
        return begun <= self.launcher.waiting.keys() and self.driver.quiet.is_set()

    def wait_until(self, condition: object) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while not condition():  # type: ignore[operator]
            if self.broke is not None:
                raise self.broke
            assert time.monotonic() < until_s, "it never came to rest"
            time.sleep(1e-4)

    def _clock(self) -> int:
        if self.ticking:
            self.now_ns += MS // 10
        return self.now_ns

    def _drive(self) -> None:
        try:
            self.driver.run(self.launcher, NoArrivals(), until_closed=True)
        except BaseException as error:  # noqa: BLE001 -- the test's thread raises it
            self.broke = error
        finally:
            self.launcher.open_for_good()
            self.launcher.close()

    def _maybe_fail(self, stage: int) -> object:
        def before(rows: Array) -> None:
            if self.launcher.own.fails_at == stage:
                raise EngineError(f"stage {stage} broke")

        return before


TestDriver = DriverMachine.TestCase
TestDriver.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
