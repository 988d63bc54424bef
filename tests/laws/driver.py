"""A driver of our own for the laws: a heap of what happens, a paper device, books, and no help from `batching.laws`."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from itertools import pairwise

from dvabatch.batching.commands import Command, Copy, Deliver, Fail, Forget, Launch, Reject
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
from dvabatch.batching.machine import Machine
from dvabatch.batching.states import BatchState
from dvabatch.runtime.trace import Recorder
from tests.laws.audit import Books
from tests.laws.device import PaperDevice
from tests.laws.scenario import TICK_NS, Scenario
from tests.laws.violations import Violation
from tests.laws.watched import WatchedPolicy

_MOST_CALLS = 2_000
# How things of one instant follow each other: ends, then losses, then what comes from outside.
_ENDS, _LOST, _GONE, _ARRIVES, _CANCELLED, _STALE, _PACED = range(7)


class LawDriver:
    """Runs one scenario to its end and checks, at each command and after each call, what the machine promises."""

    def __init__(self, machine: Machine, scenario: Scenario, recorder: Recorder | None = None) -> None:
        self.machine = machine
        self.scenario = scenario
        self.books = Books(scenario.limits, scenario.profile)
        self.device = PaperDevice(scenario.limits)
        self.calls = 0
        self._recorder = recorder
        self._shuffle = None if scenario.shuffle_seed is None else random.Random(scenario.shuffle_seed)
        self._agenda: list[tuple[int, int, tuple[int, ...]]] = []
        self._wake_ns: int | None = None
        self._dead = False  # nothing new can enter
        self._gone = False  # nothing runs any more
        self._expected: dict[str, set[int]] = {}  # reason -> who has to fail with it, and nobody else
        self._lost: set[int] = set()  # who had nothing left to run on
        self._answers: set[int] = set()  # due with the next answer of the machine

    def run(self) -> Books:
        """Raises:
        Violation: what the machine did wrong.
        """
        scenario = self.scenario
        for query in scenario.queries:
            self._plan(query.arrival_ns, _ARRIVES, query.id)
        for at_ns, query_id in scenario.cancels:
            self._plan(at_ns, _CANCELLED, query_id)
        for at_ns, stage, index in scenario.losses:
            self._plan(at_ns, _LOST, stage, index)
        for at_ns in scenario.stale_timers:
            self._plan(at_ns, _STALE)
        for at_ns, percent in scenario.host_paces:
            self._plan(at_ns, _PACED, percent)
        if scenario.device_lost_ns is not None:
            self._plan(scenario.device_lost_ns, _GONE)
        while self._agenda or self._wake_ns is not None:
            self._step()
        self._all_is_over()
        return self.books

    def _step(self) -> None:
        instants = [entry[0] for entry in self._agenda[:1]] + ([] if self._wake_ns is None else [self._wake_ns])
        now_ns = min(instants)
        events: list[Event] = []
        while self._agenda and self._agenda[0][0] == now_ns:
            _, kind, facts = heapq.heappop(self._agenda)
            happened = self._happens(now_ns, kind, facts)
            events.extend(happened)
            if happened and self.scenario.one_by_one:
                self._call(events, now_ns)
                return
        if self._wake_ns == now_ns:
            self._wake_ns = None
            events.append(TimerFired())
        if not events:
            return
        if self._shuffle is not None:
            self._shuffle.shuffle(events)
        self._call(events, now_ns)

    def _call(self, events: list[Event], now_ns: int) -> None:
        self.calls += 1
        if self.calls > _MOST_CALLS:
            raise Violation(f"no end after {_MOST_CALLS} calls")
        for event in events:
            if isinstance(event, QueryArrived):
                self.books.arrives(event.query)
            elif isinstance(event, QueryCancelled):
                self.books.cancelled.add(event.query_id)
        commands = self.machine.handle(events, now_ns)
        if isinstance(self.machine.policy, WatchedPolicy):
            self.machine.policy.settle(self.machine.ledger)
        if self._recorder is not None:
            self._recorder.record(now_ns, events, commands)
        for command in commands:
            self._carry_out(command, now_ns)
        self._look_around(events, now_ns)

    # What happens -------------------------------------------------------------------------------------------------

    def _happens(self, now_ns: int, kind: int, facts: tuple[int, ...]) -> list[Event]:
        scenario, device, books = self.scenario, self.device, self.books
        if kind == _ARRIVES:
            return [QueryArrived(scenario.queries[facts[0]])]
        if kind == _CANCELLED:
            return [QueryCancelled(facts[0])]
        if kind == _STALE:
            return [TimerFired()]
        if kind == _PACED:
            return [HostPaced(facts[0])]
        if kind == _GONE:
            self._dead = self._gone = True
            self._lost = books.open() - self._answers
            device.lose_everything()
            return [DeviceLost("power")]
        if kind == _LOST:
            stage, index = facts
            if (stage, index) not in device.owner:
                return []
            reason = f"executor {index} of stage {stage} died at {now_ns}"
            waiting = [flight.launch for flight in device.in_flight.values() if not flight.started]
            before = set(device.lost_executors)
            lost = device.lose(stage, index)
            gone = sorted(device.lost_executors - before) if scenario.successors else []
            added: list[Event] = [ExecutorAdded(at, device.add(at)) for at, _ in gone]
            for launch in waiting:
                if launch.id not in device.in_flight:
                    books.never_started(launch)
            if lost is not None:
                self._will_fail(reason, lost)
                books.landed(lost, success=False)
                if scenario.late_every and lost.id % scenario.late_every == 0:
                    self._plan(now_ns + TICK_NS, _ENDS, lost.id)
            without = [s for s in range(scenario.limits.stages) if not device.usable(s)]
            self._dead = self._dead or bool(without) or len(device.lost_sets) == scenario.limits.buffer_sets
            return [*added, ExecutorLost(stage, index, reason)]
        launch_id = facts[0]
        flight = device.in_flight.get(launch_id)
        if flight is None:  # lost; the machine hears of some of them all the same, once
            late = len(facts) == 1 and scenario.late_every and launch_id % scenario.late_every == 0
            return [LaunchFinished(launch_id)] if late else []
        failed = scenario.fail_every > 0 and launch_id % scenario.fail_every == scenario.fail_every - 1
        following = device.end(launch_id, failed=failed)
        books.landed(flight.launch, success=not failed)
        if following is not None:
            self._start(following, now_ns)
        if failed:
            reason = f"launch {launch_id} failed"
            self._will_fail(reason, flight.launch)
            return [LaunchFailed(launch_id, reason)]
        if flight.launch.last_stage == scenario.limits.stages - 1:
            self._answers.update(flight.launch.query_ids)
        return [LaunchFinished(launch_id)]

    def _will_fail(self, reason: str, launch: Launch) -> None:
        """Those of a lost or failed launch who still want an answer: they fail for this reason."""
        self._expected.setdefault(reason, set()).update(q for q in launch.query_ids if q not in self.books.ended)

    # What the machine wants ---------------------------------------------------------------------------------------

    def _carry_out(self, command: Command, now_ns: int) -> None:
        books, device = self.books, self.device
        if isinstance(command, Launch):
            if self._dead:
                self._check_launch_of_the_dead(command)
            books.launched(command)
            if device.accept(command):
                self._start(command, now_ns)
        elif isinstance(command, Copy):
            device.copy(command)
        elif isinstance(command, Deliver):
            books.delivered(command)
            for query_id in command.query_ids:
                place, row = books.where[query_id]
                if device.answer(place, row) != query_id:
                    raise Violation(f"query {query_id} gets the answer of {device.answer(place, row)}")
            self._answers.difference_update(command.query_ids)
        elif isinstance(command, Fail):
            books.failed(command)
            if command.reason not in self._expected and not self._dead:
                raise Violation(f"{command}: nothing befell these")
        elif isinstance(command, Reject):
            books.rejected(command, now_ns)
        elif isinstance(command, Forget):
            books.forgotten(command)
        else:
            if command.at_ns <= now_ns:
                raise Violation(f"{command} at {now_ns}: it would fire for ever")
            self._wake_ns = command.at_ns

    def _check_launch_of_the_dead(self, launch: Launch) -> None:
        """Behind an exhausted stage batches may go on; nothing may start before it, or on a device that is gone."""
        limits = self.scenario.limits
        if self._gone:
            raise Violation(f"{launch} comes after the device was lost")
        exhausted = [stage for stage in range(limits.stages) if not self.device.usable(stage)]
        if exhausted and launch.first_stage <= exhausted[-1]:
            raise Violation(f"{launch} can never be followed to the end: stages {exhausted} have no executor")

    def _start(self, launch: Launch, now_ns: int) -> None:
        profile, jitter = self.scenario.profile, self.scenario.jitter
        rows = len(launch.query_ids)
        takes_ns = profile.span_ns(launch.first_stage, launch.last_stage, rows, launch.lane)
        self._plan(now_ns + takes_ns + (launch.id * 7 % (jitter + 1)) * TICK_NS, _ENDS, launch.id, 0)

    def _plan(self, at_ns: int, kind: int, *facts: int) -> None:
        heapq.heappush(self._agenda, (at_ns, kind, facts))

    # After each call ----------------------------------------------------------------------------------------------

    def _look_around(self, events: Sequence[Event], now_ns: int) -> None:
        books, device, limits, ledger = self.books, self.device, self.scenario.limits, self.machine.ledger
        for event in events:  # cancelled in the very instant: forgotten if the machine heard of it, which it did
            if isinstance(event, QueryCancelled) and event.query_id in books.open():
                raise Violation(f"{event} left its query {event.query_id} alive")
        for reason, ids in self._expected.items():
            got = books.failed_with.get(reason, set())
            if not {q for q in ids if books.ended.get(q) != "forgotten"} <= got or not got <= ids:
                raise Violation(f"{sorted(ids)} had to fail with {reason!r}, {sorted(got)} did")
        self._expected.clear()
        for query_id in self._lost:
            if books.ended.get(query_id) not in {"failed", "forgotten"}:
                raise Violation(f"query {query_id} was on a device that is gone, and is {books.ended.get(query_id)}")
        self._lost.clear()
        for query_id in self._answers:
            if books.ended.get(query_id) not in {"forgotten", "delivered"}:
                raise Violation(f"query {query_id} has passed its last stage and got no answer")
        self._answers.clear()

        waiting = ledger.waiting.ids()
        living = [query.id for batch in ledger.batches for query in batch.queries]
        alive = [query_id for query_id in waiting + living if query_id not in books.ended]
        if sorted(alive) != sorted(books.open()):
            raise Violation(f"alive are {sorted(books.open())}, the machine keeps {sorted(alive)}")
        late = [query_id for query_id in waiting if books.is_late(query_id, now_ns)]
        if late:
            raise Violation(f"queries {late} wait at {now_ns}, but can no longer be answered in time")
        for stage in range(limits.stages):
            if ledger.idle[stage] != device.idle(stage):
                raise Violation(
                    f"stage {stage}: {device.idle(stage)} executors are free, {ledger.idle[stage]} on offer"
                )
        places = sorted((b.place.buffer_set, b.place.first_row, b.place.end_row, b.id) for b in ledger.batches)
        for (one_set, _, end, one), (other_set, first, _, other) in pairwise(places):
            if one_set == other_set and first < end:
                raise Violation(f"batches {one} and {other} own the same rows")
        if ledger.free_sets != limits.buffer_sets - len({place[0] for place in places} | device.lost_sets):
            raise Violation(f"{ledger.free_sets} sets are said to be free; live are {places}, lost {device.lost_sets}")
        live = {batch.id: batch for batch in ledger.batches}
        for batch in ledger.batches:
            if batch.state is BatchState.HELD:
                tail = None if batch.tail is None else live.get(batch.tail)
                if tail is None or tail.stage >= batch.stage:
                    raise Violation(f"batch {batch.id} is held for {batch.tail}, which is not behind it")
        if (waiting or live) and not device.in_flight and self._wake_ns is None:
            raise Violation(f"{waiting} wait and batches {sorted(live)} stand, and nothing is outstanding")

    def _all_is_over(self) -> None:
        books, ledger, limits = self.books, self.machine.ledger, self.scenario.limits
        if books.open() or len(books.ended) != len(self.scenario.queries) or not self.machine.idle:
            raise Violation(f"the run is over, but {sorted(books.open())} have not ended")
        for query_id, how in books.ended.items():
            if how == "delivered" and books.passed[query_id] != limits.stages:
                raise Violation(f"query {query_id} skipped a stage")
        if ledger.free_sets != limits.buffer_sets - len(self.device.lost_sets):
            raise Violation(
                f"{ledger.free_sets} of {limits.buffer_sets} sets came back, {self.device.lost_sets} are lost"
            )
        for stage in range(limits.stages):
            if ledger.idle[stage] != self.device.usable(stage):
                raise Violation(
                    f"stage {stage}: {ledger.idle[stage]} of {self.device.usable(stage)} executors came back"
                )
