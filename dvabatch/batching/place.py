"""Places: which rows of which buffer set belong to whom, until the device is done with them."""

from __future__ import annotations

import heapq
from typing import NamedTuple

from dvabatch.batching.errors import LawError


class Place(NamedTuple):
    """Rows `first_row` to `first_row + rows - 1` of every boundary tensor in one buffer set."""

    buffer_set: int
    first_row: int
    rows: int

    @property
    def end_row(self) -> int:
        return self.first_row + self.rows

    def adjoins(self, behind: Place) -> bool:
        """Whether `behind` lies right behind this place in the same set, so that the two are one place already."""
        return self.buffer_set == behind.buffer_set and self.end_row == behind.first_row


class BufferSets:
    """Hands out buffer sets and keeps the tenants of their rows.

    A set is taken whole by a new batch and returns when its last tenant has left. Rows are only ever reserved behind a
    tenant, so there is no ring and nothing wraps. A tenant that is *lost* (its device work may still write) never leaves.
    """

    __slots__ = ("_free", "_lost", "_tenants", "count", "rows")

    def __init__(self, count: int, rows: int) -> None:
        self.count = count
        self.rows = rows
        self._free = list(range(count))  # a heap: the lowest free set first, so that runs repeat
        self._tenants: list[dict[int, Place]] = [{} for _ in range(count)]
        self._lost: set[int] = set()

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def in_use(self) -> int:
        """Sets with tenants; lost ones are out of use for good and do not count."""
        return self.count - len(self._free) - len(self._lost)

    @property
    def exhausted(self) -> bool:
        """Every set holds rows that will never return: nothing can enter any more."""
        return len(self._lost) == self.count

    def take(self, tenant: int, rows: int) -> Place:
        """A free set, from row 0."""
        if not self._free:
            raise LawError("a buffer set was taken while none is free")
        return self.claim(tenant, Place(heapq.heappop(self._free), 0, rows))

    def claim(self, tenant: int, place: Place) -> Place:
        """Makes `tenant` the one owner of `place`."""
        buffer_set, first, rows = place
        end = first + rows
        tenants = self._tenants[buffer_set]
        if end > self.rows:
            raise LawError(f"{place} ends behind the set's {self.rows} rows")
        for other, held in tenants.items():
            if held.first_row < end and first < held.first_row + held.rows and other != tenant:
                raise LawError(f"{place} for batch {tenant} overlaps {held} of batch {other}")
        tenants[tenant] = place
        return place

    def divide(self, tenant: int, buffer_set: int, parts: dict[int, Place]) -> None:
        """Parts of a tenant's place take over from it. They lie within it, so they overlap with nobody else."""
        tenants = self._tenants[buffer_set]
        del tenants[tenant]
        tenants.update(parts)

    def join(self, head: int, tail: int, place: Place) -> Place:
        """Neighbours become one tenant, the head; their rows were theirs before, so they overlap with nobody else."""
        tenants = self._tenants[place.buffer_set]
        del tenants[tail]
        tenants[head] = place
        return place

    def vacate(self, tenant: int, buffer_set: int) -> None:
        """The device is done with the tenant's rows; the set returns when they were the last."""
        tenants = self._tenants[buffer_set]
        del tenants[tenant]
        if not tenants:
            heapq.heappush(self._free, buffer_set)

    def lose(self, buffer_set: int) -> None:
        """A tenant's device work never ended: its rows stay taken for good, and so does the set."""
        self._lost.add(buffer_set)

    def room_behind(self, place: Place) -> int:
        """How many rows right behind `place` belong to nobody."""
        end = place.first_row + place.rows
        nearest = self.rows
        tenants = self._tenants[place.buffer_set]
        if len(tenants) > 1:
            for held in tenants.values():
                if end <= held.first_row < nearest:
                    nearest = held.first_row
        return nearest - end

    def right_behind(self, place: Place) -> int | None:
        """The tenant whose rows begin where this place ends."""
        end = place.first_row + place.rows
        for tenant, held in self._tenants[place.buffer_set].items():
            if held.first_row == end:
                return tenant
        return None

    def tenants(self, buffer_set: int) -> dict[int, Place]:
        return dict(self._tenants[buffer_set])
