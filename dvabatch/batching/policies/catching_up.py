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
            room = 0 if youngest is None else self.openness(view, youngest)
            free = view.idle(0) > self._about_to_start(view)
            if youngest is not None and room > 0:
                stretch = Stretch(youngest.id, waiting.first(lane, room))
                if youngest.tail is None and free and youngest.boundary > 0:
                    return stretch, self._catch_up(view, view.next_batch_id, 0, youngest.boundary)
                return (stretch,)
            if view.free_sets and free:
                return (New(lane, waiting.first(lane, self.max_batch)),)
        return ()

    def openness(self, view: View, batch: BatchView) -> int:
        """How many waiting queries may join this batch now; 0 or less if it is closed."""
        boundary = batch.boundary
        started_ns = batch.first_launch_ns
        if batch.head is not None or boundary > self.last_stage or boundary >= view.limits.stages or started_ns is None:
            return 0  # before its first launch there is nothing to catch up with
        if self.max_age_ns is not None and view.now_ns - started_ns > self.max_age_ns:
            return 0
        if batch.tail is not None:
            tail = view.batch(batch.tail)
            if tail.state is not _READY or tail.stage != 0:
                return 0
        return self._room(view, batch)

    def _room(self, view: View, batch: BatchView) -> int:
        """How many more it may take: rows behind it, and the limit that clips the tail."""
        members = batch.size + (0 if batch.tail is None else view.batch(batch.tail).size)
        if members >= self.max_merged:
            return 0
        return min(view.room(batch.id), self.max_merged - members)

    def meet(self, view: View, batch: BatchView) -> Operation | None:
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
            if batch.stage < meeting:
                return self._catch_up(view, batch.id, batch.stage, meeting)
        return None

    @staticmethod
    def _catch_up(view: View, tail: int, stage: int, meeting: int) -> Operation:
        """A tail goes from `stage` to the boundary where it meets its head, or as far as there are free executors."""
        while stage + 1 < meeting and view.idle(stage + 1):
            stage += 1
        return Advance(tail, stage)

    def next_stop(self, view: View, batch: BatchView) -> int:
        """The next boundary at which a stretch could make this batch wait; the end of the stages if there is none."""
        after = batch.stage + 1
        if after > self.last_stage or self._room(view, batch) <= 0:
            return view.limits.stages
        start_ns = view.now_ns if batch.first_launch_ns is None else batch.first_launch_ns
        too_old = self.max_age_ns is not None and view.now_ns - start_ns > self.max_age_ns
        return view.limits.stages if too_old else after

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
