"""What a policy sees: the ledger, read-only. Mypy holds policies to these types, so that no copy is needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from dvabatch.batching.costs import Costs
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.batching.states import BatchState


class WaitingView(Protocol):
    """Queries that have arrived and belong to no batch yet."""

    @property
    def count(self) -> int:
        """All of them, over all lanes."""

    def in_lane(self, lane: int) -> int:
        """How many wait in this lane."""

    def oldest(self, lane: int) -> Query | None:
        """The one that came first."""

    def first(self, lane: int, count: int) -> tuple[int, ...]:
        """The ids of the first `count` of a lane, or of all if they are fewer."""

    def oldest_of_any(self) -> Query | None:
        """The one that came first over all lanes."""

    def first_of_any(self, count: int) -> tuple[int, tuple[int, ...]]:
        """The ids of the first `count` over all lanes, or of all, behind the lane that is long enough for them (0: none)."""


class BatchView(ABC):
    """One batch, read-only: see `Batch`, the only kind there is, for what each part means.

    A base class and no protocol: a compiled policy finds the parts of a class that it knows at once, and those of a protocol by
    name.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def id(self) -> int: ...

    @property
    @abstractmethod
    def lane(self) -> int: ...

    @property
    @abstractmethod
    def size(self) -> int: ...

    @property
    @abstractmethod
    def queries(self) -> tuple[Query, ...]: ...

    @property
    @abstractmethod
    def stage(self) -> int: ...

    @property
    @abstractmethod
    def boundary(self) -> int: ...

    @property
    @abstractmethod
    def state(self) -> BatchState: ...

    @property
    @abstractmethod
    def place(self) -> Place: ...

    @property
    @abstractmethod
    def head(self) -> int | None: ...

    @property
    @abstractmethod
    def tail(self) -> int | None: ...

    @property
    @abstractmethod
    def launch_id(self) -> int | None: ...

    @property
    @abstractmethod
    def first_launch_ns(self) -> int | None: ...


class View(Protocol):
    """The whole of what a policy may know. Nothing in it says how much load is to come."""

    @property
    def now_ns(self) -> int: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def profile(self) -> Profile: ...
    @property
    def costs(self) -> Costs:
        """What lies between stages: the profile's, at the pace that the host has now, as far as it was heard of."""

    @property
    def waiting(self) -> WaitingView: ...
    def utilization(self) -> float:
        """The pace of arrivals, estimated from those so far, in parts of what the device can do at its best batch size."""

    @property
    def free_sets(self) -> int: ...
    @property
    def sets_in_use(self) -> int: ...
    @property
    def last_end_ns(self) -> int:
        """When a launch last ended; -1 before the first."""

    @property
    def next_batch_id(self) -> int:
        """The id that the next `New`, `Stretch` or `Split` gives to the first batch it makes."""

    @property
    def batch_by_id(self) -> Mapping[int, BatchView]:
        """The live batches by id, and in order of id."""

    @property
    def youngest_first(self) -> Iterable[BatchView]:
        """The live batches, from the last in order of id."""

    @property
    def batches(self) -> Iterable[BatchView]:
        """The live batches, in order of id."""

    @property
    def ready(self) -> Sequence[BatchView]:
        """Those that stand at a boundary or the entry and wait for a word, in order of id."""

    @property
    def startable(self) -> Sequence[BatchView]:
        """Those of the ready whose next stage has a free executor, in order of id."""

    def ready_at(self, stage: int) -> Sequence[BatchView]:
        """Those of the ready that stand before this stage, in order of id."""

    @property
    def idle(self) -> Sequence[int]:
        """How many executors of each stage are free."""

    def idle_through(self, first: int, last: int) -> bool:
        """Whether every stage of this span has a free executor."""

    def bound_for(self, lane: int) -> Sequence[int]:
        """How many live batches of a lane stand at each boundary, or will when their launch in flight ends."""

    def right_behind(self, batch_id: int) -> BatchView | None:
        """The live batch whose rows begin where this one's end."""

    def hindmost_beside(self, batch_id: int) -> int:
        """The boundary of the hindmost other batch of this one's lane (standing or bound for it); `stages` if it is alone."""

    def room(self, batch_id: int) -> int:
        """How many queries a stretch of this batch may take: the free rows behind it, or behind its waiting tail."""

    def can_merge(self, head: int, tail: int) -> bool:
        """Whether there are rows for both: side by side, or behind the head, or in a free set."""
