"""The polling driver, for engines that run asynchronously: one thread polls, decides and launches.

It never sleeps while anything is in flight: a boundary then costs the decision and a launch, and no thread has to be woken.
"""

from __future__ import annotations

from typing import Protocol

from dvabatch.batching.events import Event
from dvabatch.runtime.driver import Driver, Starter

_LONGEST_WAIT_NS = 100_000_000  # an interrupt is noticed at least this soon
# A sleeper wakes this long before it is due, and polls: it may be late by more than the system's timer slack, and what has
# slept finds cold caches, in which every decision takes several times as long.
_AWAKE_NS = 5_000_000


class Pollable(Starter, Protocol):
    """Launches that end by themselves, and whoever asks learns of it."""

    @property
    def in_flight(self) -> bool: ...

    def poll(self) -> list[Event]: ...


class PollingDriver(Driver[Pollable]):
    """Asks for completions instead of being told."""

    def _ask(self, starter: Pollable, events: list[Event]) -> None:
        if starter.in_flight:
            events.extend(starter.poll())

    def _wait(self, starter: Pollable, next_ns: int | None) -> None:
        if starter.in_flight:
            return
        due_ns = self._due_in_ns(next_ns)
        self._sleep(_LONGEST_WAIT_NS if due_ns is None else min(_LONGEST_WAIT_NS, due_ns - _AWAKE_NS))
