"""How queries come to a driver. *Pull*: the driver takes all that is due at each decision, from a precomputed schedule."""

from __future__ import annotations

from collections.abc import Sequence

from dvabatch.batching.query import Query


class PullArrivals:
    """A schedule that the driver reads. Its query i is due at `arrivals_ns[i]`, counted from the run's anchor."""

    def __init__(
        self, arrivals_ns: Sequence[int], lengths: Sequence[int] | None = None, deadline_ns: int | None = None
    ) -> None:
        self._arrivals_ns = [int(t) for t in arrivals_ns]
        self._lengths = None if lengths is None else [int(n) for n in lengths]
        self._deadline_ns = deadline_ns
        self._next = 0

    @property
    def next_ns(self) -> int | None:
        """When the next query is due; None behind the last."""
        return self._arrivals_ns[self._next] if self._next < len(self._arrivals_ns) else None

    def take_due(self, now_ns: int) -> list[Query]:
        """All queries that are due and have not been taken."""
        due = []
        while self._next < len(self._arrivals_ns) and self._arrivals_ns[self._next] <= now_ns:
            due.append(self.query(self._next))
            self._next += 1
        return due

    def query(self, index: int) -> Query:
        """Query `index` of the schedule; a sender thread that pushes makes its queries here."""
        arrival_ns = self._arrivals_ns[index]
        return Query(
            index,
            arrival_ns,
            None if self._lengths is None else self._lengths[index],
            None if self._deadline_ns is None else arrival_ns + self._deadline_ns,
        )


class NoArrivals:
    """Nothing is scheduled: queries are pushed into the driver's inbox."""

    next_ns: int | None = None

    def take_due(self, now_ns: int) -> list[Query]:
        return []
