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

    def take_due(self, now_ns: int, most: int | None = None) -> list[Query]:
        """All queries that are due and have not been taken; `most` of them, where that is given."""
        due: list[Query] = []
        end = len(self._arrivals_ns) if most is None else min(len(self._arrivals_ns), self._next + most)
        while self._next < end and self._arrivals_ns[self._next] <= now_ns:
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


class HeldArrivals:
    """A schedule of which at most `most` queries are under way at once: while they are, what is due is held back.

    Whoever learns that a query has ended says so with `ended`, on the driver's thread. `held` has the ids of the queries that
    were held back: their lateness is the bound's doing, and no fault of the driver.
    """

    def __init__(self, arrivals: PullArrivals, most: int) -> None:
        if most < 1:
            raise ValueError(f"got at most {most} queries under way, wanted 1 or more")
        self._arrivals = arrivals
        self._most = most
        self._under_way = 0
        self._full = False  # since the last time that anything could be taken
        self.held: list[int] = []

    @property
    def next_ns(self) -> int | None:
        """When the next query is due that may be taken; None too while nothing may be: an end then comes first."""
        return self._arrivals.next_ns if self._under_way < self._most else None

    def take_due(self, now_ns: int) -> list[Query]:
        """The queries that are due and for which there is room."""
        room = self._most - self._under_way
        if not room:
            return []
        due = self._arrivals.take_due(now_ns, room)
        if self._full:
            self.held += [query.id for query in due]
        self._under_way += len(due)
        # Those that are left over, and whatever comes due before the next end, wait for it.
        self._full = self._under_way == self._most
        return due

    def ended(self) -> None:
        """A query has ended, however that went: there is room for another."""
        self._under_way -= 1


class NoArrivals:
    """Nothing is scheduled: queries are pushed into the driver's inbox."""

    next_ns: int | None = None

    def take_due(self, now_ns: int) -> list[Query]:
        return []
