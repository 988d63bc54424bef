"""The policies, by the names that a config gives them (`scheduler_type`).

What becomes of a batch at a boundary is decided when an executor of its next stage is free, and not before: until then more
batches may come to meet it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from dvabatch.batching.operations import Advance, Operation
from dvabatch.batching.policies.boundary import Rules, advance, go_on
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.view import BatchView, View


@dataclass(frozen=True, slots=True)
class _Whole:
    """Ordinary batching: one entry, one exit, one launch through all stages."""

    entry: FillOrWait

    def plan(self, view: View) -> Iterator[Operation]:
        ready, entering = view.ready, self.entry.enter(view, _straight_through, view.limits.last_stage)
        return chain(_left_behind(view, ready), entering) if ready else entering


def _straight_through(view: View, batch: BatchView) -> Iterable[Operation]:
    return (Advance(batch.id, view.limits.last_stage),)


def _left_behind(view: View, batches: Iterable[BatchView]) -> Iterator[Operation]:
    """Those that the loss of an executor left without one."""
    for batch in batches:
        if view.idle_through(0, view.limits.last_stage):
            yield from _straight_through(view, batch)


class Normal(_Whole):
    """NORMAL: lanes apart. The baseline: a dynamic batcher in its own terms."""

    __slots__ = ()

    @property
    def digest(self) -> str:
        return f"NORMAL {self.entry}"


class NormalInput(_Whole):
    """NORMAL_INPUT: one queue for all lengths, each batch padded to its longest member."""

    __slots__ = ()

    @property
    def digest(self) -> str:
        return f"NORMAL_INPUT {self.entry}"


@dataclass(frozen=True, slots=True)
class InputDva:
    """INPUT_DVA: every length bucket goes on its own, a stage at a time, and short ones leave early.

    Executors go to the batch with the earliest virtual deadline, its oldest arrival plus what its lane takes alone: short
    batches overtake long ones, and no stream of short ones starves a long one.
    """

    entry: FillOrWait

    @property
    def digest(self) -> str:
        return f"INPUT_DVA {self.entry}"

    def plan(self, view: View) -> Iterator[Operation]:
        startable = view.startable
        if len(startable) > 1:
            startable = sorted(startable, key=lambda batch: (self._due_ns(view, batch), batch.id))
        for batch in startable:
            if view.idle[batch.stage]:
                yield from self._go(view, batch)
        yield from self.entry.enter(view, self._go)

    @staticmethod
    def _go(view: View, batch: BatchView) -> Iterable[Operation]:
        """Straight through only if nobody else is here, and whoever comes next finds a free executor all the way."""
        alone = not view.waiting.count and len(view.ready) == 1
        spare = alone and all(idle > 1 for idle in view.idle[batch.stage :])
        return (Advance(batch.id, view.limits.last_stage if spare else batch.stage),)

    @staticmethod
    def _due_ns(view: View, batch: BatchView) -> int:
        return batch.queries[0].arrival_ns + view.profile.whole_ns(batch.size, batch.lane)


@dataclass(frozen=True, slots=True)
class OperatorDva:
    """OPERATOR_DVA: enter as NORMAL, and meet every stage at the batch size that it favours."""

    entry: FillOrWait
    favoring: Favoring

    @property
    def digest(self) -> str:
        return f"OPERATOR_DVA {self.entry} {self.favoring}"

    def plan(self, view: View) -> Iterator[Operation]:
        startable, entering = view.startable, self.entry.enter(view, self._go)
        return chain(go_on(view, self.favoring, startable), entering) if startable else entering

    def _go(self, view: View, batch: BatchView) -> Iterable[Operation]:
        return go_on(view, self.favoring, (batch,))


def _on_and_in(view: View, rules: Rules, catching_up: CatchingUp) -> Iterator[Operation]:
    """Batches that may start go on, and then those who wait enter, if there are any: nothing is asked for nothing."""
    startable = view.startable
    if not startable:
        return catching_up.enter(view, rules)
    going = go_on(view, rules, startable)
    return chain(going, catching_up.enter(view, rules)) if view.waiting.count else going


@dataclass(frozen=True, slots=True)
class LoadDva:
    """LOAD_DVA: enter at once; late queries catch up with the youngest batch while it is open."""

    catching_up: CatchingUp

    @property
    def digest(self) -> str:
        return f"LOAD_DVA {self.catching_up}"

    def plan(self, view: View) -> Iterator[Operation]:
        return _on_and_in(view, self.catching_up, self.catching_up)


@dataclass(frozen=True, slots=True)
class HybridDva:
    """HYBRID_DVA: LOAD_DVA's entry and catching up, OPERATOR_DVA's sizes for batches that wait for nobody."""

    catching_up: CatchingUp
    favoring: Favoring

    @property
    def digest(self) -> str:
        return f"HYBRID_DVA {self.catching_up} {self.favoring}"

    def plan(self, view: View) -> Iterator[Operation]:
        return _on_and_in(view, self, self.catching_up)

    def step(self, view: View, batch: BatchView) -> Operation | None:
        if batch.tail is not None or batch.head is not None:
            return self.catching_up.step(view, batch)
        operation = self.favoring.meet(view, batch)
        if operation is None:
            stop = self.catching_up.next_stop(view, batch)
            if stop > batch.stage + 1:  # it may have to stop sooner, to divide or to meet another
                stop = min(stop, self.favoring.next_stop(view, batch))
            operation = advance(view, batch.id, batch.stage, stop)
        return operation
