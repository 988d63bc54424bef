"""A query: one row of work that came from outside and is answered, or ended, exactly once."""

from __future__ import annotations

from typing import NamedTuple


class _Facts(NamedTuple):
    id: int
    arrival_ns: int
    length: int | None = None
    deadline_ns: int | None = None


class Query(_Facts):
    """One row. A request of several rows is several queries whose answers are delivered together.

    `arrival_ns` is the *scheduled* instant: latency counts from it, however late the query was seen.
    `length` is the query's own sequence length, `deadline_ns` the instant after which it need not enter any more.

    A tuple, checked at birth: a simulation makes a million of them.
    """

    __slots__ = ()

    def __new__(cls, id: int, arrival_ns: int, length: int | None = None, deadline_ns: int | None = None) -> Query:
        """Raises ValueError for a length below 1."""
        if length is not None and length < 1:
            raise ValueError(f"query {id} has length {length}; a length is 1 or more, or None where there is none")
        return tuple.__new__(cls, (id, arrival_ns, length, deadline_ns))
