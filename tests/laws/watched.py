"""A policy under watch: what each of its operations did to the batches is compared with what the operation means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dvabatch.batching.machine import Policy
from dvabatch.batching.operations import Advance, Hold, Merge, New, Operation, Split, Stretch, Wake
from dvabatch.batching.states import BatchState
from dvabatch.batching.view import View
from tests.laws.violations import Violation


@dataclass(frozen=True, slots=True)
class _Seen:
    ids: tuple[int, ...]
    stage: int
    lane: int
    state: BatchState
    buffer_set: int
    first_row: int


def _look(view: View) -> dict[int, _Seen]:
    return {
        batch.id: _Seen(
            tuple(query.id for query in batch.queries),
            batch.stage,
            batch.lane,
            batch.state,
            batch.place.buffer_set,
            batch.place.first_row,
        )
        for batch in view.batches
    }


class WatchedPolicy:
    """Answers as the policy within. What an operation changed is checked before the next, and when the machine is done."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._before: dict[int, _Seen] = {}
        self._operation: Operation | None = None
        self._next_id = 0
        self.seen: Counter[str] = Counter()
        self.split_stages: set[int] = set()
        self.most_parts = 0

    @property
    def digest(self) -> str:
        return self._policy.digest

    def plan(self, view: View) -> Iterator[Operation]:
        for operation in self._policy.plan(view):
            now = self.settle(view)
            if not isinstance(operation, Wake):
                self._before, self._next_id, self._operation = now, view.next_batch_id, operation
                self._count(operation, now)
            yield operation

    def _count(self, operation: Operation, now: dict[int, _Seen]) -> None:
        self.seen[type(operation).__name__] += 1
        if isinstance(operation, Advance) and operation.behind is not None:
            self.seen["behind"] += 1
        if isinstance(operation, Split):
            self.split_stages.add(now[operation.batch].stage)
            self.most_parts = max(self.most_parts, len(operation.sizes))

    def settle(self, view: View) -> dict[int, _Seen]:
        """Checks what the last operation did; to be called once more when the machine has done with an instant."""
        now = _look(view)
        if self._operation is not None:
            self._check(self._operation, now)
            self._operation = None
        return now

    def _check(self, operation: Operation, now: dict[int, _Seen]) -> None:
        before = self._before
        named: set[int] = set()
        if isinstance(operation, New):
            named = {self._next_id}
            batch = now[self._next_id]
            _same(operation, batch.ids, operation.query_ids)
            _same(operation, (batch.first_row, batch.stage, batch.lane), (0, 0, operation.lane))
        elif isinstance(operation, Stretch):
            named = {max(now)} if self._next_id in now else {i for i in now if now[i].ids != before[i].ids}
            if not named:
                raise Violation(f"{operation} changed no batch")
            head, tail = now[operation.head], now[min(named)]
            _same(operation, tail.ids[-len(operation.query_ids) :], operation.query_ids)
            _same(operation, head, before[operation.head])
            if self._next_id in now:
                _same(operation, (tail.stage, tail.buffer_set), (0, head.buffer_set))
                _same(operation, tail.first_row, head.first_row + len(head.ids))
            else:  # the tail that it had, which grows where it lies
                old = before[min(named)]
                _same(operation, tail, replace(old, ids=old.ids + operation.query_ids))
        elif isinstance(operation, Merge):
            named = {operation.head, operation.tail}
            _same(operation, now[operation.head].ids, before[operation.head].ids + before[operation.tail].ids)
            _same(operation, operation.tail in now, False)
            head, tail = before[operation.head], before[operation.tail]
            _same(operation, (head.stage, head.lane), (tail.stage, tail.lane))
        elif isinstance(operation, Split):
            whole, row = before[operation.batch], 0
            for number, size in enumerate(operation.sizes):
                part = now.get(self._next_id + number)  # None: all of it was cancelled
                if part is not None:
                    _same(operation, part.ids, whole.ids[row : row + size])
                    _same(operation, (part.buffer_set, part.first_row), (whole.buffer_set, whole.first_row + row))
                    _same(operation, (part.stage, part.lane), (whole.stage, whole.lane))
                row += size
            _same(operation, row, len(whole.ids))
            named = {operation.batch, *range(self._next_id, self._next_id + len(operation.sizes))}
        elif isinstance(operation, Hold):
            named = {operation.batch}
            _same(operation, now[operation.batch].state, BatchState.HELD)
        elif isinstance(operation, Advance):
            named = {i for i in before if before[i].state is BatchState.HELD} | {operation.batch}
            _same(operation, now[operation.batch].state, BatchState.RUNNING)
        for batch_id in (set(before) | set(now)) - named:
            if before.get(batch_id) != now.get(batch_id):
                raise Violation(f"{operation} changed batch {batch_id}: {before.get(batch_id)} -> {now.get(batch_id)}")


def _same(operation: Operation, got: object, wanted: object) -> None:
    if got != wanted:
        raise Violation(f"{operation}: got {got}, wanted {wanted}")
