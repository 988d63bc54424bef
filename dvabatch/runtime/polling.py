"""The polling driver, for engines that run asynchronously: one thread polls, decides and launches.

It never sleeps while anything is in flight: a boundary then costs the decision and a launch, and no thread has to be woken.
"""

from __future__ import annotations

from typing import Protocol

from dvabatch.batching.events import Event
from dvabatch.runtime.driver import Arrivals, Driver, Starter
from dvabatch.runtime.host_pace import HostPace
from dvabatch.runtime.rehearsal import Rehearsal

_LONGEST_WAIT_NS = 100_000_000  # an interrupt is noticed at least this soon
# A sleeper wakes this long before it is due, and polls: it may be late by more than the system's timer slack, and what has
# slept finds cold caches, in which every decision takes several times as long.
_AWAKE_NS = 5_000_000
# So long after the last decision they are rehearsed: often enough for the caches.
_COLD_NS = 50_000
_AT_FIRST = 2  # rehearsals before a run: the first is slow
_SELDOM = 10  # rehearsals take one part in so many of the time at the most: what comes meanwhile waits


class Pollable(Starter, Protocol):
    """Launches that end by themselves, and whoever asks learns of it."""

    @property
    def in_flight(self) -> bool: ...

    def poll(self) -> list[Event]: ...


class PollingDriver(Driver[Pollable]):
    """Asks for completions instead of being told, and rehearses decisions meanwhile."""

    rehearses: bool = True  # not for a policy with a memory
    _rehearsal: Rehearsal | None = None
    _warm_until_ns = 0
    _usual_ns = 0  # what a rehearsal takes, but for those that were disturbed

    @property
    def rehearsed(self) -> int:
        """How many queries have passed in rehearsals."""
        return 0 if self._rehearsal is None else self._rehearsal.queries

    def run(self, starter: Pollable, arrivals: Arrivals, *, until_closed: bool = False) -> None:
        costs = self._machine.profile.costs
        self._host = None if costs.queueing_ns is None else HostPace(costs, self._machine.limits.last_stage)
        if self.rehearses:
            rehearsal = self._rehearsal = Rehearsal(self._machine)
            for _ in range(_AT_FIRST):
                self._rehearse(rehearsal)
        super().run(starter, arrivals, until_closed=until_closed)

    def _ask(self, starter: Pollable, events: list[Event]) -> None:
        if starter.in_flight:
            events.extend(starter.poll())

    def _wait(self, starter: Pollable, next_ns: int | None) -> None:
        rehearsal = self._rehearsal if self._clock() >= self._warm_until_ns else None
        if starter.in_flight and rehearsal is None:
            return
        due_ns = self._due_in_ns(next_ns)
        if not starter.in_flight and (due_ns is None or due_ns > _AWAKE_NS):
            self._sleep(_LONGEST_WAIT_NS if due_ns is None else min(_LONGEST_WAIT_NS, due_ns - _AWAKE_NS))
        elif rehearsal is not None and (due_ns is None or due_ns > 2 * self._usual_ns):
            self._rehearse(rehearsal)

    def _decide(self, starter: Pollable, events: list[Event], now_ns: int) -> None:
        super()._decide(starter, events, now_ns)
        self._warm_until_ns = max(self._warm_until_ns, self._anchor_ns + now_ns + _COLD_NS)

    def _rehearse(self, rehearsal: Rehearsal) -> None:
        began_ns = self._clock()
        if not rehearsal.play():
            self._rehearsal = None
        took_ns = self._clock() - began_ns
        self._usual_ns = min(took_ns, 2 * self._usual_ns) if self._usual_ns else took_ns
        self._warm_until_ns = began_ns + max(_COLD_NS, _SELDOM * took_ns)
