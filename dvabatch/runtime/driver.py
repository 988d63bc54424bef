"""What every real-time driver does: one thread owns the machine, reports events to it and carries its commands out.

Everything that happens reaches that thread through one queue, or is read by it from the schedule when due. How it learns that
a launch has ended, and how it waits, is the driver's own.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from dvabatch.batching.commands import Command, Copy, Deliver, Fail, Forget, Launch, Reject
from dvabatch.batching.events import Event, LaunchFailed, LaunchFinished, QueryArrived, TimerFired
from dvabatch.batching.machine import Machine
from dvabatch.batching.place import Place
from dvabatch.batching.query import Query
from dvabatch.runtime.faults import Faults
from dvabatch.runtime.host_pace import HostPace
from dvabatch.runtime.instants import NEVER
from dvabatch.runtime.journal import Outcome
from dvabatch.runtime.shapes import Layout
from dvabatch.runtime.trace import Listener
from dvabatch.runtime.watchdog import Watchdog, usual_timeout_ns
from engines.base import Array

_NS_PER_S = 1e9


class Arrivals(Protocol):
    """Where the driver looks for due queries."""

    @property
    def next_ns(self) -> int | None: ...

    def take_due(self, now_ns: int) -> list[Query]: ...


class Rows(Protocol):
    """The memory of the buffer sets, as a driver uses it."""

    @property
    def layout(self) -> Layout: ...

    def rows(self, place: Place, lane: int, names: tuple[str, ...]) -> dict[str, Array]: ...

    def copy(self, command: Copy) -> int: ...


class Starter(Protocol):
    """What carries launches out."""

    def start(self, launch: Launch) -> None: ...

    def give_up(self, launch: Launch) -> bool:
        """Nobody waits for this launch any more: nothing is reported of it, nothing queued behind it starts, and what runs it
        is not used again. False, and nothing is done, if it has ended: its event is on the way."""


class Observer(Protocol):
    """Who is told what became of each query and launch, with the instant: a journal, or futures."""

    def admitted(self, query: Query, now_ns: int, *, late_free: bool) -> None: ...

    def launched(self, launch: Launch) -> None: ...

    def queued(self, launch: Launch, took_ns: int, *, idle: bool) -> None:
        """`took_ns` is for how long starting it kept the driver's thread; `idle` that nothing had been under way."""

    def copied(self, count: int) -> None: ...

    def decided(self, took_ns: int) -> None: ...

    def delivered(self, query_id: int, now_ns: int, answer: Callable[[], Mapping[str, Array]]) -> None:
        """`answer()` copies the query's rows; it serves inside this call only: the rows are reused afterwards."""

    def ended(self, query_id: int, outcome: Outcome, now_ns: int, reason: str) -> None: ...


_S = TypeVar("_S", bound=Starter)


class Driver(ABC, Generic[_S]):
    """Translates commands into work and completions into events."""

    def __init__(
        self,
        machine: Machine,
        table: Rows,
        observer: Observer,
        *,
        listener: Listener | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
        timeout_ns: int | None = None,
        faults: Faults | None = None,
    ) -> None:
        """A launch is given up after `timeout_ns`, by default `usual_timeout_ns`; `faults` go wrong on purpose."""
        self._machine = machine
        self._table = table
        self._observer = observer
        self._listener = listener
        self._clock = clock
        self._faults = faults
        self._watchdog = Watchdog(timeout_ns or usual_timeout_ns(machine.profile, machine.limits.max_batch))
        self._anchor_ns = clock()
        # No queue's `get(timeout)`: CPython's SimpleQueue, woken for what is already taken, waits for ever if its time runs out
        # just then.
        self._inbox: deque[Event | None] = deque()
        self._bell = threading.Lock()  # released where there may be news
        self._bell.acquire()
        self._last_launch: dict[int, Launch] = {}  # launches that end at the last stage, by batch: where answers lie
        self._closing = False
        self._running_since_ns: int | None = None
        self._host: HostPace | None = None  # of a driver whose own thread queues launches
        self.busy_ns = 0  # time with at least one launch in flight

    @property
    def anchor_ns(self) -> int:
        """The clock's reading at the run's instant 0."""
        return self._anchor_ns

    def now_ns(self) -> int:
        """The time since the run's instant 0, for any thread."""
        return self._clock() - self._anchor_ns

    @property
    def host_pace(self) -> float | None:
        """How many times as long launches take the host as while the profile was measured, as the machine heard last; None
        where nobody knows."""
        return None if self._host is None else self._host.told

    @property
    def given_up(self) -> int:
        """How many launches did not end in time."""
        return self._watchdog.given_up

    def set_anchor(self, anchor_ns: int) -> None:
        """Lays instant 0, once, before the run."""
        self._anchor_ns = anchor_ns

    def post(self, event: Event) -> None:
        """Reports an event from any thread."""
        self._inbox.append(event)
        self._ring()

    def close(self) -> None:
        """Lets `run` return when all that has been posted is done."""
        self._inbox.append(None)
        self._ring()

    def _ring(self) -> None:
        with suppress(RuntimeError):  # it has been rung
            self._bell.release()

    def run(self, starter: _S, arrivals: Arrivals, *, until_closed: bool = False) -> None:
        """Until the schedule is over and every query has ended; with `until_closed`, until `close` as well."""
        machine = self._machine
        self._closing = not until_closed
        while True:
            now_ns = self._clock() - self._anchor_ns
            events = self._drain()
            self._ask(starter, events)
            if now_ns >= 0:
                self._admit(arrivals.take_due(now_ns), events, now_ns)
                if machine.wake_ns is not None and now_ns >= machine.wake_ns:
                    events.append(TimerFired())
                self._befall(starter, events, now_ns)
            if events:
                self._decide(starter, events, max(now_ns, 0))
            elif self._closing and arrivals.next_ns is None and machine.idle:
                return
            else:
                self._wait(starter, arrivals.next_ns)

    @abstractmethod
    def _ask(self, starter: _S, events: list[Event]) -> None:
        """Adds the launches that have ended, where nobody posts them."""

    @abstractmethod
    def _wait(self, starter: _S, next_ns: int | None) -> None:
        """Nothing is to be done now: until something may be. `next_ns` is when the next query is due."""

    def _drain(self) -> list[Event]:
        events: list[Event] = []
        while self._inbox:
            self._take(self._inbox.popleft(), events)
        return events

    def _take(self, event: Event | None, events: list[Event]) -> None:
        if event is None:
            self._closing = True
        else:
            events.append(event)

    def _admit(self, due: list[Query], events: list[Event], now_ns: int) -> None:
        """Notes when each arriving query was first seen, and whether an executor stood idle meanwhile."""
        if self._faults is not None:
            meet = self._faults.meet
            due = [meet(query) for query in due]
            events[:] = [QueryArrived(meet(event.query)) if type(event) is QueryArrived else event for event in events]
        pushed = [event.query for event in events if type(event) is QueryArrived]
        if due or pushed:
            free = self._machine.ledger.idle[0] > 0
            for query in (*pushed, *due):
                self._observer.admitted(query, now_ns, late_free=free)
            events.extend(QueryArrived(query) for query in due)

    def _befall(self, starter: _S, events: list[Event], now_ns: int) -> None:
        """Adds what goes wrong: on purpose, and launches that do not end."""
        if self._faults is not None and self._faults.next_ns <= now_ns:
            events.extend(self._faults.due(now_ns))
        if self._watchdog.next_ns > now_ns:
            return
        gone = [launch for launch in self._watchdog.overdue(now_ns) if starter.give_up(launch)]
        for launch in gone:
            behind = self._watchdog.give_up(launch)
            self._last_launch.pop(launch.id, None)
            if behind is not None:
                self._last_launch.pop(behind.id, None)
        events.extend(self._watchdog.losses(gone, self._machine.ledger.executors))

    def _due_in_ns(self, next_ns: int | None) -> int | None:
        """How long until something is due: a query, the machine's wake-up, or what may go wrong; None: nothing is planned."""
        soonest = NEVER if next_ns is None else next_ns
        if self._machine.wake_ns is not None:
            soonest = min(soonest, self._machine.wake_ns)
        if self._faults is not None:
            soonest = min(soonest, self._faults.next_ns)
        soonest = min(soonest, self._watchdog.next_ns)
        return None if soonest == NEVER else soonest + self._anchor_ns - self._clock()

    def _sleep(self, longest_ns: int) -> None:
        """Until something is posted, at the longest for this long."""
        if longest_ns > 0 and not self._inbox:
            self._bell.acquire(timeout=longest_ns / _NS_PER_S)

    def _decide(self, starter: _S, events: list[Event], now_ns: int) -> None:
        if self._host is not None and (news := self._host.news()) is not None:
            events.append(news)
        began_ns = self._clock()
        commands = self._machine.handle(events, now_ns)
        took_ns = self._clock() - began_ns
        self._observer.decided(took_ns)
        if self._listener is not None:
            self._listener.record(now_ns, events, commands, took_ns)
        finished = [event.launch_id for event in events if isinstance(event, (LaunchFinished, LaunchFailed))]
        for launch_id in finished:
            self._watchdog.ended(launch_id, now_ns)
        for command in commands:
            self._carry_out(starter, command, now_ns)
        for launch_id in finished:
            self._last_launch.pop(launch_id, None)
        if not self._machine.ledger.launches:  # after a lost device nothing of what was in flight will end
            self._watchdog.forget_all()
            self._last_launch.clear()
        self._account_busy(now_ns)

    def _carry_out(self, starter: _S, command: Command, now_ns: int) -> None:
        observer = self._observer
        if type(command) is Launch:
            observer.launched(command)
            self._watchdog.started(command, now_ns)
            if self._faults is not None:
                self._faults.strike(command, now_ns)
            if command.last_stage == self._machine.limits.last_stage:
                self._last_launch[command.id] = command
            began_ns = self._clock()
            starter.start(command)
            took_ns = self._clock() - began_ns
            idle = self._running_since_ns is None
            observer.queued(command, took_ns, idle=idle)
            if idle:
                self._running_since_ns = now_ns
            elif self._host is not None:
                self._host.note(command, took_ns)
        elif type(command) is Deliver:
            self._deliver(command)
        elif type(command) is Copy:
            observer.copied(self._table.copy(command))
        elif type(command) is Fail:
            now_ns = self._clock() - self._anchor_ns
            for query_id in command.query_ids:
                observer.ended(query_id, Outcome.FAILED, now_ns, command.reason)
        elif type(command) is Reject:
            observer.ended(command.query_id, Outcome.REJECTED, self._clock() - self._anchor_ns, command.reason)
        elif type(command) is Forget:
            observer.ended(command.query_id, Outcome.CANCELLED, self._clock() - self._anchor_ns, "cancelled")

    def _deliver(self, command: Deliver) -> None:
        """Answers before any later command can reuse the rows."""
        now_ns = self._clock() - self._anchor_ns
        wanted = set(command.query_ids)
        launch = next(launch for launch in self._last_launch.values() if wanted.issubset(launch.query_ids))
        rows = self._table.rows(launch.place, launch.lane, self._table.layout.outputs)
        for row, query_id in enumerate(launch.query_ids):
            if query_id in wanted:
                self._observer.delivered(query_id, now_ns, lambda row=row: {n: a[row].copy() for n, a in rows.items()})  # type: ignore[misc]

    def _account_busy(self, now_ns: int) -> None:
        if self._running_since_ns is not None and not self._machine.ledger.launches:
            self.busy_ns += now_ns - self._running_since_ns
            self._running_since_ns = None
