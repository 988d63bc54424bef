"""Commands: what a driver has to do, in the order given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dvabatch.batching.place import Place


class Launch(NamedTuple):
    """Run stages `first_stage` to `last_stage` on the rows of `place`, row i being `query_ids[i]`.

    `executors[k]` is the executor of stage `first_stage + k`; all are held until the launch ends. With `after`, start
    when that launch has ended (in success or failure) on the executors it leaves; if that launch is lost, forget this one.

    The most frequent command, and the widest: a named tuple is made much faster than a frozen dataclass.
    """

    id: int
    batch_id: int
    lane: int
    first_stage: int
    last_stage: int
    place: Place
    query_ids: tuple[int, ...]
    executors: tuple[int, ...]
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy what stages from `stage` on still read in these rows. Both places may meet in one set, but never overlap.

    Later commands may reuse the source and read the target: a driver keeps this order, whatever its device overlaps.
    """

    source: Place
    target: Place
    stage: int
    lane: int


class Deliver(NamedTuple):
    """Answer these queries now: their last stage is done. Their rows are reused by later commands."""

    query_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """These queries got no answer, and why."""

    query_ids: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """This query never entered, and why."""

    query_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Forget:
    """This query's cancellation took effect: it gets no answer."""

    query_id: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Report `TimerFired` at this instant. One is pending at most: a later command replaces an earlier one."""

    at_ns: int


Command: TypeAlias = Launch | Copy | Deliver | Fail | Reject | Forget | WakeAt
