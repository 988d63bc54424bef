"""A policy without sense: any operation that is legal in the view, `behind` launches included, from its own seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

from dvabatch.batching.operations import Advance, Hold, Merge, New, Operation, Split, Stretch, Wake
from dvabatch.batching.states import BatchState
from dvabatch.batching.view import BatchView, View

_READY, _RUNNING = BatchState.READY, BatchState.RUNNING
_SHAPINGS = 6  # splits and merges undo each other: so many an instant, lest it never ends
_PATIENCE = 12  # after so many answers in a row that launched nothing, it launches if it can


class RandomPolicy:
    """Same seed and same events, same answers. What it can know of launches it reads off the running batches."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._now_ns = -1
        self._shapings = 0
        self._idle_answers = 0
        self._queued: dict[int, int] = {}  # batch -> the launch that its own launch stands behind

    @property
    def digest(self) -> str:
        return f"RANDOM {self._seed}"

    def plan(self, view: View) -> Iterator[Operation]:
        while (operation := self._next(view)) is not None:
            yield operation
            if isinstance(operation, Wake):
                return

    def _next(self, view: View) -> Operation | None:
        if view.now_ns != self._now_ns:
            self._now_ns, self._shapings = view.now_ns, 0
        batches = list(view.batches)
        running = {batch.launch_id for batch in batches if batch.state is _RUNNING}
        self._queued = {batch_id: launch for batch_id, launch in self._queued.items() if launch in running}
        launches = self._launches(view, batches)
        entries = self._entries(view, batches)
        shapes = self._shapes(view, batches) if self._shapings < _SHAPINGS else []
        impatient = self._idle_answers > _PATIENCE
        kinds = [kind for kind in (launches, entries, [] if impatient else shapes) if kind]
        if not kinds or (not impatient and self._random.random() < 0.2):
            self._idle_answers += 1
            busy = view.waiting.count or batches
            return Wake(view.now_ns + self._random.randrange(1, 4) * 500_000) if busy else None
        operation = self._random.choice(launches if impatient and launches else self._random.choice(kinds))
        if isinstance(operation, Advance):
            self._idle_answers = 0
            if operation.behind is not None:
                self._queued[operation.batch] = operation.behind
        elif not isinstance(operation, (New, Stretch)):
            self._shapings += 1
        return operation

    def _entries(self, view: View, batches: list[BatchView]) -> list[Operation]:
        """New in any lane, of queries of it and of shorter ones, in any order; stretches of whatever takes company."""
        draw, limits = self._random, view.limits
        found: list[Operation] = []
        for lane in range(len(limits.lanes)):
            ids = [query_id for own in range(lane + 1) for query_id in view.waiting.first(own, view.waiting.count)]
            if not ids:
                continue
            draw.shuffle(ids)
            if view.free_sets:
                found.append(New(lane, tuple(ids[: draw.randint(1, limits.max_batch)])))
            for batch in batches:
                room = view.room(batch.id)
                if batch.lane == lane and room and _takes_company(view, batch):
                    found.append(Stretch(batch.id, tuple(ids[: draw.randint(1, room)])))
        return found

    def _shapes(self, view: View, batches: list[BatchView]) -> list[Operation]:
        """Splits into any parts, merges of any two that may meet, holds for any that is behind."""
        draw = self._random
        found: list[Operation] = []
        for batch in batches:
            if batch.state is _READY and batch.size > 1 and batch.head is None and batch.tail is None:
                cuts = sorted(draw.sample(range(1, batch.size), draw.randint(1, batch.size - 1)))
                found.append(
                    Split(batch.id, tuple(b - a for a, b in zip([0, *cuts], [*cuts, batch.size], strict=True)))
                )
        for one, other in combinations(batches, 2):
            for head, tail in ((one, other), (other, one)):
                if head.lane != tail.lane or head.state is not _READY:
                    continue
                if (
                    tail.state is _READY
                    and head.stage == tail.stage
                    and _pair(head, tail)
                    and view.can_merge(head.id, tail.id)
                ):
                    found.append(Merge(head.id, tail.id))
                tied = head.tail == tail.id
                if tail.stage < head.stage and (tied or (head.tail is None and tail.head is None)):
                    found.append(Hold(head.id, tail.id))
        return found

    def _launches(self, view: View, batches: list[BatchView]) -> list[Operation]:
        """Any span that has executors, and any place behind a launch that runs and has nobody behind it."""
        draw, last = self._random, view.limits.last_stage
        followed = set(self._queued.values())
        ahead = [b for b in batches if b.state is _RUNNING and b.launch_id not in followed and b.id not in self._queued]
        found: list[Operation] = []
        for batch in batches:
            if batch.state is not _READY:
                continue
            through = draw.randint(batch.stage, last)
            while through >= batch.stage and not view.idle_through(batch.stage, through):
                through -= 1
            if through >= batch.stage:
                found.append(Advance(batch.id, through))
            found.extend(
                Advance(batch.id, draw.randrange(batch.stage, other.boundary), other.launch_id)
                for other in ahead
                if other.stage <= batch.stage < other.boundary
            )
        return found


def _takes_company(view: View, batch: BatchView) -> bool:
    if batch.head is not None or batch.boundary >= view.limits.stages:
        return False
    tail = None if batch.tail is None else view.batch_by_id[batch.tail]
    return tail is None or (tail.state is _READY and tail.stage == 0)


def _pair(one: BatchView, other: BatchView) -> bool:
    """Whether neither is tied to a third."""
    return {one.head, one.tail} <= {None, other.id} and {other.head, other.tail} <= {None, one.id}
