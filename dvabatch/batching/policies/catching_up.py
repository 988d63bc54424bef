"""Load diversity: late queries catch up with the youngest batch and join it (the paper's *stretch*)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dvabatch.batching.operations import Advance, Hold, Merge, New, Operation, Stretch
from dvabatch.batching.states import BatchState
from dvabatch.batching.view import BatchView, View

_READY = BatchState.READY


@dataclass(frozen=True, slots=True)
class CatchingUp:
    """Which batches accept company, and until when.

    Every stretch makes the batch's first members wait for the newcomers, so these three bound how long it stays open:
    the boundary `last_stage` (stages completed plus the one running may not exceed it), `max_age_ns` since its first
    launch (None: no bound) and `max_merged` queries. All bounds are inclusive.
    """

    max_batch: int
    max_merged: int
    last_stage: int
    max_age_ns: int | None

    def enter(self, view: View) -> Sequence[Operation]:
        """Stretch the youngest batch of a lane while it is open, else open a new one where an executor is free."""
        waiting = view.waiting
        if not waiting.count:
            return ()
        for lane in self._lanes_by_age(view):
            youngest = self._youngest(view, lane)
            if youngest is not None and self.is_open(view, youngest):
                return (Stretch(youngest.id, waiting.first(lane, self.room(view, youngest))),)
            if view.free_sets and view.idle(0) > self._about_to_start(view):
                return (New(lane, waiting.first(lane, self.max_batch)),)
        return ()

    def is_open(self, view: View, batch: BatchView) -> bool:
        """Whether waiting queries may still join this batch."""
        if batch.head is not None or batch.boundary > self.last_stage or batch.boundary >= view.limits.stages:
            return False
        if batch.first_launch_ns is None:
            return False  # not launched yet: nothing to catch up with
        if self.max_age_ns is not None and view.now_ns - batch.first_launch_ns > self.max_age_ns:
            return False
        if batch.tail is not None:
            tail = view.batch(batch.tail)
            if tail.state is not _READY or tail.stage != 0:
                return False
        return self.room(view, batch) > 0

    def room(self, view: View, batch: BatchView) -> int:
        """How many more it may take: rows behind it, and the limit that clips the tail."""
        members = batch.size + (0 if batch.tail is None else view.batch(batch.tail).size)
        return min(view.room(batch.id), self.max_merged - members)

    def at_boundary(self, view: View, batch: BatchView) -> Operation | None:
        """What a ready batch that is tied to another does: meet its tail, wait for it, or catch up with its head."""
        if batch.tail is not None:
            tail = view.batch(batch.tail)
            if tail.stage < batch.stage:
                return Hold(batch.id, tail.id)
            if tail.stage == batch.stage and tail.state is _READY:
                return Merge(batch.id, tail.id)
            return None
        if batch.head is not None:
            meeting = view.batch(batch.head).boundary
            if batch.stage < meeting and view.idle(batch.stage):
                through = batch.stage
                while through + 1 < meeting and view.idle(through + 1):
                    through += 1
                return Advance(batch.id, through)
        return None

    def may_stop_at(self, view: View, batch: BatchView, boundary: int) -> bool:
        """Whether a stretch could still make this batch wait at `boundary`, so that a launch should end there."""
        if boundary > self.last_stage or self.room(view, batch) <= 0:
            return False
        start_ns = view.now_ns if batch.first_launch_ns is None else batch.first_launch_ns
        return self.max_age_ns is None or view.now_ns - start_ns <= self.max_age_ns

    def _lanes_by_age(self, view: View) -> list[int]:
        lanes = len(view.limits.lanes)
        if lanes == 1:
            return [0]
        heads = ((query.id, lane) for lane in range(lanes) if (query := view.waiting.oldest(lane)) is not None)
        return [lane for _, lane in sorted(heads)]

    @staticmethod
    def _youngest(view: View, lane: int) -> BatchView | None:
        for batch in view.youngest_first:
            if batch.lane == lane and batch.head is None:
                return batch
        return None

    @staticmethod
    def _about_to_start(view: View) -> int:
        """Batches that are first in line for the free executors of stage 0."""
        return sum(1 for batch in view.ready if batch.stage == 0)
