"""Operator diversity: before each stage, bring batches to the size which that stage favours (the paper's *split*)."""

from __future__ import annotations

from dataclasses import dataclass

from dvabatch.batching.operations import Hold, Merge, Operation, Split
from dvabatch.batching.policies.boundary import advance
from dvabatch.batching.view import BatchView, View


@dataclass(frozen=True, slots=True)
class Favoring:
    """`sizes[s]` is the batch size that stage s favours: it gains no throughput from larger ones."""

    sizes: tuple[int, ...]

    def step(self, view: View, batch: BatchView) -> Operation | None:
        """Gather or divide, else go to the next boundary where one of the two could come to pass."""
        return self.meet(view, batch) or advance(view, batch.id, batch.stage, self.next_stop(view, batch))

    def meet(self, view: View, batch: BatchView) -> Operation | None:
        """Gather before a stage that favours more than the one behind, divide before one that favours less."""
        stage, size = batch.stage, batch.size
        favored = self.sizes[stage]
        if size < favored:
            return self._gather(view, batch) if stage > 0 and favored > self.sizes[stage - 1] else None
        if size > favored and batch.head is None and batch.tail is None:
            return Split(batch.id, even_parts(size, favored))
        return None

    def next_stop(self, view: View, batch: BatchView) -> int:
        """The next boundary at which this batch divides, or could meet another; the end of the stages if there is none."""
        sizes, size = self.sizes, batch.size
        for boundary in range(batch.stage + 1, len(sizes)):
            if size > sizes[boundary]:
                return boundary
            if size < sizes[boundary] > sizes[boundary - 1] and view.hindmost_beside(batch.id) <= boundary:
                return boundary
        return len(sizes)

    def _gather(self, view: View, batch: BatchView) -> Operation | None:
        """Merge with a batch that is ready here too; else wait for the part right behind it, which is on its way."""
        stage = batch.stage
        limit = self.sizes[stage]
        if view.bound_for(batch.lane)[stage] > 1:
            for other in view.ready_at(stage):
                if self._fits(batch, other, limit):
                    # Neighbours in row order, which costs nothing; strangers with the older one in front.
                    in_one_set = batch.place.buffer_set == other.place.buffer_set
                    first = batch.place.first_row < other.place.first_row if in_one_set else batch.id < other.id
                    head, tail = (batch, other) if first else (other, batch)
                    if view.can_merge(head.id, tail.id):
                        return Merge(head.id, tail.id)
        behind = view.right_behind(batch.id)
        if (
            behind is not None
            and behind.stage < stage
            and behind.boundary <= stage
            and self._fits(batch, behind, limit)
            and behind.size <= min(self.sizes[behind.stage : stage])  # it will not be divided on its way
        ):
            return Hold(batch.id, behind.id)
        return None

    @staticmethod
    def _fits(batch: BatchView, other: BatchView, limit: int) -> bool:
        """Whether the two may become one batch."""
        together = batch.size + other.size <= limit
        return together and other.id != batch.id and other.lane == batch.lane and _unbound(other, batch)


def _unbound(one: BatchView, other: BatchView) -> bool:
    """Whether neither waits for a third."""
    return all(tie in {None, one.id, other.id} for tie in (one.head, one.tail, other.head, other.tail))


def even_parts(size: int, most: int) -> tuple[int, ...]:
    """The fewest parts of at most `most` each, as even as can be, larger ones first."""
    parts = -(-size // most)
    small, more = divmod(size, parts)
    return (small + 1,) * more + (small,) * (parts - more)
