"""The threaded driver, for engines that block: worker threads run launches and post their ends.

The thread that owns the machine sleeps until the next thing that can happen: a completion, an arrival or the machine's own
wake-up.
"""

from __future__ import annotations

from dvabatch.batching.events import Event
from dvabatch.runtime.driver import Driver, Starter

_LONGEST_WAIT_NS = 500_000_000  # an interrupt is noticed at least this soon on every platform


class ThreadedDriver(Driver[Starter]):
    """One queue back to the thread that owns the machine."""

    def _ask(self, starter: Starter, events: list[Event]) -> None:
        """Whoever ran a launch has posted its end."""

    def _wait(self, starter: Starter, next_ns: int | None) -> None:
        due_ns = self._due_in_ns(next_ns)
        self._sleep(_LONGEST_WAIT_NS if due_ns is None else min(_LONGEST_WAIT_NS, due_ns))
