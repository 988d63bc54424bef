"""Boundaries: how ready batches go on, whatever the rules by which they meet, divide and stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from dvabatch.batching.operations import Advance, Merge, Operation, Split
from dvabatch.batching.states import BatchState
from dvabatch.batching.view import BatchView, View

_READY = BatchState.READY


class Rules(Protocol):
    """What a policy has to say about a batch that is ready and has a free executor."""

    def step(self, view: View, batch: BatchView) -> Operation | None:
        """What it does next: meet another, wait for it, divide, or be launched; None if it stays as it is."""


def go_on(view: View, rules: Rules, batches: Iterable[BatchView]) -> Iterator[Operation]:
    """Step by step what becomes of each of these ready batches while it has a free executor, the first of them first.

    What a batch becomes by a merge or a split goes on in its place.
    """
    idle, step, live = view.idle, rules.step, view.batch_by_id
    to_go = [*batches]
    to_go.reverse()
    while to_go:
        batch = to_go.pop()
        while batch.state is _READY and idle[batch.stage]:  # an operation before may have taken either
            operation = step(view, batch)
            if operation is None:
                break
            if type(operation) is Advance:
                yield operation
                break
            first_part = view.next_batch_id
            yield operation
            if type(operation) is Merge:
                batch = live[operation.head]  # it is the one that goes on
            elif type(operation) is Split:
                parts = range(view.next_batch_id - 1, first_part - 1, -1)
                to_go += [live[part] for part in parts if part in live]  # one may have been cancelled
                break


def advance(view: View, batch_id: int, stage: int, stop: int) -> Advance:
    """A launch from `stage`, which has a free executor, to the boundary `stop` or as far as there are free executors."""
    through = stage + 1
    if through < stop:
        idle = view.idle
        while through < stop and idle[through]:
            through += 1
    # Half as dear as `Advance(...)`, which every launch comes of.
    return tuple.__new__(Advance, (batch_id, through - 1, None))
