"""The policies, by the names that a config gives them (`scheduler_type`).

What becomes of a batch at a boundary is decided when an executor of its next stage is free, and not before: until then more
batches may come to meet it there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dvabatch.batching.operations import Advance, New, Operation
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.view import BatchView, View


def _go_on(
    view: View,
    meet: Callable[[View, BatchView], Operation | None],
    next_stop: Callable[[View, BatchView], int | None],
) -> Sequence[Operation]:
    """What ready batches do that have a free executor: one operation that `meet` asks for, or all launches at once.

    A launch goes to the batch's next stop, or as far as there are free executors; a batch whose next stop is None stays.
    """
    ready = view.ready
    if not ready:
        return ()
    launches: list[Operation] = []
    idle = view.idle_by_stage()
    for batch in ready:
        if not idle[batch.stage]:
            continue
        meeting = meet(view, batch)
        if meeting is not None:
            return launches or (meeting,)  # it may concern a batch that is about to be launched: asked again after that
        stop = next_stop(view, batch)
        if stop is None:
            continue
        through = batch.stage
        idle[through] -= 1
        while through + 1 < stop and idle[through + 1]:
            through += 1
            idle[through] -= 1
        launches.append(Advance(batch.id, through))
    return launches


@dataclass(frozen=True, slots=True)
class _Whole:
    """Ordinary batching: one entry, one exit, one launch through all stages."""

    entry: FillOrWait
    scheduler_type: ClassVar[str]

    @property
    def digest(self) -> str:
        return f"{self.scheduler_type} {self.entry}"

    def plan(self, view: View) -> Sequence[Operation]:
        last = view.limits.last_stage
        for batch in view.ready:
            return (Advance(batch.id, last),) if view.idle_through(0, last) else ()
        operation = self.entry.plan(view)
        if operation is None:
            return ()
        if type(operation) is New and view.idle_through(0, last):
            return (operation, Advance(view.next_batch_id, last))
        return (operation,)


class Normal(_Whole):
    """NORMAL: lanes apart. The baseline: a dynamic batcher in its own terms."""

    __slots__ = ()
    scheduler_type = "NORMAL"


class NormalInput(_Whole):
    """NORMAL_INPUT: one queue for all lengths, each batch padded to its longest member."""

    __slots__ = ()
    scheduler_type = "NORMAL_INPUT"


@dataclass(frozen=True, slots=True)
class LoadDva:
    """LOAD_DVA: enter at once; late queries catch up with the youngest batch while it is open."""

    catching_up: CatchingUp
    scheduler_type: ClassVar[str] = "LOAD_DVA"

    @property
    def digest(self) -> str:
        return f"{self.scheduler_type} {self.catching_up}"

    def plan(self, view: View) -> Sequence[Operation]:
        return _go_on(view, self.catching_up.meet, self._next_stop) or self.catching_up.enter(view)

    def _next_stop(self, view: View, batch: BatchView) -> int | None:
        return None if _is_tied(batch) else self.catching_up.next_stop(view, batch)


@dataclass(frozen=True, slots=True)
class InputDva:
    """INPUT_DVA: every length bucket goes on its own, a stage at a time, and short ones leave early.

    Executors go to the batch with the earliest virtual deadline, its oldest arrival plus what its lane takes alone: short
    batches overtake long ones, and no stream of short ones starves a long one.
    """

    entry: FillOrWait
    scheduler_type: ClassVar[str] = "INPUT_DVA"

    @property
    def digest(self) -> str:
        return f"{self.scheduler_type} {self.entry}"

    def plan(self, view: View) -> Sequence[Operation]:
        batch = min(
            (batch for batch in view.ready if view.idle(batch.stage)),
            key=lambda batch: (self._due_ns(view, batch), batch.id),
            default=None,
        )
        if batch is not None:
            last = view.limits.last_stage
            # Straight through only if nobody else is here, and whoever comes next finds a free executor all the way.
            alone = len(view.ready) == 1 and not view.waiting.count
            spare = alone and all(idle > 1 for idle in view.idle_by_stage()[batch.stage :])
            through = last if spare else batch.stage
            return (Advance(batch.id, through),)
        operation = self.entry.plan(view)
        return () if operation is None else (operation,)

    @staticmethod
    def _due_ns(view: View, batch: BatchView) -> int:
        return batch.queries[0].arrival_ns + view.profile.whole_ns(batch.size, batch.lane)


@dataclass(frozen=True, slots=True)
class OperatorDva:
    """OPERATOR_DVA: enter as NORMAL, and meet every stage at the batch size that it favours."""

    entry: FillOrWait
    favoring: Favoring
    scheduler_type: ClassVar[str] = "OPERATOR_DVA"

    @property
    def digest(self) -> str:
        return f"{self.scheduler_type} {self.entry} {self.favoring}"

    def plan(self, view: View) -> Sequence[Operation]:
        moves = _go_on(view, self.favoring.meet, self.favoring.next_stop)
        if moves:
            return moves
        operation = self.entry.plan(view)
        return () if operation is None else (operation,)


@dataclass(frozen=True, slots=True)
class HybridDva:
    """HYBRID_DVA: LOAD_DVA's entry and catching up, OPERATOR_DVA's sizes for batches that wait for nobody."""

    catching_up: CatchingUp
    favoring: Favoring
    scheduler_type: ClassVar[str] = "HYBRID_DVA"

    @property
    def digest(self) -> str:
        return f"{self.scheduler_type} {self.catching_up} {self.favoring}"

    def plan(self, view: View) -> Sequence[Operation]:
        return _go_on(view, self._meet, self._next_stop) or self.catching_up.enter(view)

    def _meet(self, view: View, batch: BatchView) -> Operation | None:
        return (self.catching_up if _is_tied(batch) else self.favoring).meet(view, batch)

    def _next_stop(self, view: View, batch: BatchView) -> int | None:
        if _is_tied(batch):
            return None
        return min(self.catching_up.next_stop(view, batch), self.favoring.next_stop(view, batch))


def _is_tied(batch: BatchView) -> bool:
    """Whether it waits for another batch, or another for it."""
    return batch.tail is not None or batch.head is not None
