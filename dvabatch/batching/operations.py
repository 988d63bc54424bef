"""Operations: what a policy answers with. Each is legal or refused as a whole; none touches anything by itself.

All but the rarest are named tuples: a saturated machine makes dozens an instant, and frozen dataclasses cost a
multiple to make. Two kinds with equal fields are equal as tuples: tell them apart by type first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


class New(NamedTuple):
    """Open a batch of waiting queries in a free buffer set. Its id is the view's `next_batch_id`."""

    lane: int
    query_ids: tuple[int, ...]


class Stretch(NamedTuple):
    """Let waiting queries catch up with `head`: they become its tail, or join the tail that has not started."""

    head: int
    query_ids: tuple[int, ...]


class Merge(NamedTuple):
    """Make one batch of two that are ready at the same boundary; it keeps the head's id and members in front."""

    head: int
    tail: int


class Split(NamedTuple):
    """Divide a ready batch into parts of these sizes, in row order. The parts' ids count up from `next_batch_id`."""

    batch: int
    sizes: tuple[int, ...]


class Hold(NamedTuple):
    """Keep a ready batch at its boundary until `tail`, which is behind it, arrives there or ends."""

    batch: int
    tail: int


class Advance(NamedTuple):
    """Launch a ready batch through stage `through`; with `behind`, queue it on the executors of that launch."""

    batch: int
    through: int
    behind: int | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """Ask again at this instant even if nothing happens."""

    at_ns: int


Operation: TypeAlias = New | Stretch | Merge | Split | Hold | Advance | Wake
