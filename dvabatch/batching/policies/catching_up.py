"""Load diversity: late queries catch up with the youngest batch and join it (the paper's *stretch*)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dvabatch.batching.operations import Hold, Merge, New, Operation, Stretch
from dvabatch.batching.policies.boundary import Rules, advance, go_on
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

    def enter(self, view: View, rules: Rules) -> Iterator[Operation]:
        """Stretch the youngest batch of a lane while it is open, else open a new one where an executor is free.

        To be asked when all ready batches have gone on: whatever executor is free then, nobody else is about to take it.
        What enters goes on by `rules`.
        """
        waiting = view.waiting
        while waiting.count:
            for lane in self._lanes_by_age(view):
                youngest = self._youngest(view, lane)
                room = 0 if youngest is None or youngest.boundary > self.last_stage else self.openness(view, youngest)
                batch_id = view.next_batch_id
                if youngest is not None and room > 0:
                    starts = youngest.tail is None and view.idle[0]
                    yield Stretch(youngest.id, waiting.first(lane, room))
                    if starts:
                        yield advance(view, batch_id, 0, youngest.boundary)
                    break
                if view.idle[0] and view.free_sets:
                    yield New(lane, waiting.first(lane, self.max_batch))
                    yield from go_on(view, rules, (view.batch_by_id[batch_id],))
                    break
            else:
                return

    def openness(self, view: View, batch: BatchView) -> int:
        """How many waiting queries may join this batch now; 0 or less if it is closed."""
        boundary = batch.boundary
        started_ns = batch.first_launch_ns
        if batch.head is not None or boundary > self.last_stage or boundary >= view.limits.stages:
            return 0
        if started_ns is None or (self.max_age_ns is not None and view.now_ns - started_ns > self.max_age_ns):
            return 0  # before its first launch there is nothing to catch up with
        return self._room(view, batch)

    def _room(self, view: View, batch: BatchView) -> int:
        """How many more it may take: rows behind it, the limit that clips the tail, and no tail that is on its way."""
        most = self.max_merged - len(batch.queries)
        if batch.tail is not None:
            tail = view.batch_by_id[batch.tail]
            if tail.state is not _READY or tail.stage:
                return 0
            most -= len(tail.queries)
        if most <= 0:
            return most
        room = view.room(batch.id)
        return room if room < most else most

    def _is_old(self, view: View, batch: BatchView) -> bool:
        """Whether its first launch is too long ago; a batch that was never launched is new."""
        started_ns = batch.first_launch_ns
        return self.max_age_ns is not None and started_ns is not None and view.now_ns - started_ns > self.max_age_ns

    def step(self, view: View, batch: BatchView) -> Operation | None:
        """Meet the tail, wait for it, or catch up with the head; a batch without either goes to its next stop."""
        if batch.tail is not None:
            tail = view.batch_by_id[batch.tail]
            if tail.stage < batch.stage:
                return Hold(batch.id, tail.id)
            if tail.stage == batch.stage and tail.state is _READY:
                return Merge(batch.id, tail.id)
            return None
        if batch.head is not None:
            meeting = view.batch_by_id[batch.head].boundary
            return advance(view, batch.id, batch.stage, meeting) if batch.stage < meeting else None
        return advance(view, batch.id, batch.stage, self.next_stop(view, batch))

    def next_stop(self, view: View, batch: BatchView) -> int:
        """The next boundary at which a stretch could make a free batch wait; the end of the stages if there is none."""
        after = batch.stage + 1
        if after > self.last_stage or self._is_old(view, batch) or self._room(view, batch) <= 0:
            return view.limits.stages
        return after

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
