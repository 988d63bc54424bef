"""Decisions that nobody carries out, between those that count: they keep code, profile and branches in the caches.

A polling driver asks for news some hundred microseconds long, and what it then decides has gone cold: calls into the GPU's
driver, and whoever shares the core, have used the caches meanwhile. So it lets a query pass, now and then, through a machine of
its own that has the same limits, profile and policy, and no executor behind it.
"""

from __future__ import annotations

from typing import Final

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFinished, QueryArrived, TimerFired
from dvabatch.batching.machine import Machine
from dvabatch.batching.query import Query

# Times of the whole model at batch 1 between two queries: they find it idle, as those do that count most.
_APART: Final = 4
_MOST: Final = 1_000  # instants of one query: more than stages and delays make


class Rehearsal:
    """A machine like another one, through which one query passes at a time."""

    def __init__(self, machine: Machine) -> None:
        self._machine = Machine(machine.limits, machine.profile, machine.policy)
        self._lengths = machine.limits.lanes
        self._apart_ns = max(1, _APART * machine.profile.whole_ns(1, len(self._lengths) - 1))
        self._queries = 0

    @property
    def queries(self) -> int:
        """How many have passed."""
        return self._queries

    def play(self) -> bool:
        """Lets one query pass, from its arrival to its answer; lanes take turns.

        False if it is not answered: the policy waits for more company than a lone query, and is not to be rehearsed.
        """
        machine, query_id = self._machine, self._queries
        self._queries += 1
        now_ns = machine.ledger.now_ns + self._apart_ns
        events: list[Event] = [QueryArrived(Query(query_id, now_ns, self._lengths[query_id % len(self._lengths)]))]
        for _ in range(_MOST):
            launches = [command for command in machine.handle(events, now_ns) if type(command) is Launch]
            if machine.idle:
                return True
            if launches:
                events = [LaunchFinished(launch.id) for launch in launches]
            elif machine.wake_ns is not None:
                now_ns, events = machine.wake_ns, [TimerFired()]
            else:
                break
        return False
