"""A query: one row of work that came from outside and is answered, or ended, exactly once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One row. A request of several rows is several queries whose answers are delivered together.

    `arrival_ns` is the *scheduled* instant: latency counts from it, however late the query was seen.
    `length` is the query's own sequence length, `deadline_ns` the instant after which it need not enter any more.
    """

    id: int
    arrival_ns: int
    length: int | None = None
    deadline_ns: int | None = None

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise ValueError(
                f"query {self.id} has length {self.length}; a length is 1 or more, or None where there is none"
            )
