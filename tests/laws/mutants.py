"""Machines with one defect each, made by replacing one method: what the checks of the laws have to catch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dvabatch.batching.batch import Batch
from dvabatch.batching.commands import Copy, Launch
from dvabatch.batching.executors import Executors
from dvabatch.batching.ledger import Ledger
from dvabatch.batching.machine import Machine
from dvabatch.batching.operations import Advance, Hold, Merge, Split, Stretch
from dvabatch.batching.place import BufferSets, Place
from dvabatch.batching.query import Query
from dvabatch.batching.states import BatchEvent, BatchState, ExecutorState
from dvabatch.batching.waiting import WaitingRoom

Break = Callable[[pytest.MonkeyPatch], None]


def rows_of_a_tail_start_at_0(patch: pytest.MonkeyPatch) -> None:
    """Row offsets are never applied: the original's first defect."""
    launch = Ledger.launch

    def broken(self: Ledger, operation: Advance) -> Launch:
        right = launch(self, operation)
        place = Place(right.place.buffer_set, 0, right.place.rows)
        return Launch(
            right.id, right.batch_id, right.lane, right.first_stage, right.last_stage, place, right.query_ids,
            right.executors, right.after,
        )  # fmt: skip

    patch.setattr(Ledger, "launch", broken)


def executors_return_at_the_launch(patch: pytest.MonkeyPatch) -> None:
    """Given back when the work was enqueued, not when it completed."""
    take = Executors.take

    def broken(self: Executors, first: int, last: int, launch_id: int) -> tuple[int, ...]:
        taken = take(self, first, last, launch_id)
        self.put_back(first, taken)
        return taken

    patch.setattr(Executors, "take", broken)
    patch.setattr(Executors, "put_back", _put_back_if_busy(Executors.put_back))


def _put_back_if_busy(put_back: Callable[[Executors, int, tuple[int, ...]], None]) -> Callable[..., None]:
    def broken(self: Executors, first: int, executors: tuple[int, ...]) -> None:
        for stage, index in enumerate(executors, first):
            if self.state(stage, index).name == "BUSY":
                put_back(self, stage, (index,))

    return broken


def executors_never_return(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Executors, "put_back", lambda self, first, executors: None)


def lost_executors_return(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Executors, "lose", lambda self, stage, index: self.owner(stage, index))


def a_successor_takes_the_place_of_the_lost(patch: pytest.MonkeyPatch) -> None:
    """An index is used again, while the device may still be at what was lost there."""
    add = Executors.add

    def broken(self: Executors, stage: int) -> None:
        lost = [index for index in range(self.count(stage)) if self.state(stage, index) is ExecutorState.LOST]
        add(self, stage)
        if lost:
            self._state[stage][lost[0]], self._state[stage][-1] = ExecutorState.IDLE, ExecutorState.LOST
            self._free[stage][0] = lost[0]

    patch.setattr(Executors, "add", broken)


def late_queries_are_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Machine, "_lead_ns", property(lambda self: (), lambda self, lead_ns: None), raising=False)


def a_set_returns_with_its_first_tenant(patch: pytest.MonkeyPatch) -> None:
    """Ring slots reused with no check."""

    def broken(self: BufferSets, tenant: int, buffer_set: int) -> None:
        del self._tenants[buffer_set][tenant]
        if buffer_set not in self._free:
            self._free.append(buffer_set)

    patch.setattr(BufferSets, "vacate", broken)


def rows_of_lost_launches_return(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BufferSets, "lose", lambda self, buffer_set: self._free.append(buffer_set))


def a_split_loses_its_last_part(patch: pytest.MonkeyPatch) -> None:
    """After a split requests are lost."""
    split = Ledger.split

    def broken(self: Ledger, operation: Split) -> list[Batch]:
        parts = split(self, operation)
        del self.batch_by_id[parts[-1].id]
        if parts[-1].state is BatchState.READY:
            self.ready_batches.remove(parts[-1])
        return parts[:-1]

    patch.setattr(Ledger, "split", broken)


def a_split_mixes_its_members(patch: pytest.MonkeyPatch) -> None:
    split = Ledger.split

    def broken(self: Ledger, operation: Split) -> list[Batch]:
        parts = split(self, operation)
        first, last = parts[0].queries, parts[-1].queries
        parts[0].queries, parts[-1].queries = (last[-1], *first[1:]), (*last[:-1], first[0])
        parts[0]._ids = parts[-1]._ids = ()
        return parts

    patch.setattr(Ledger, "split", broken)


def a_merge_puts_the_tail_in_front(patch: pytest.MonkeyPatch) -> None:
    merge = Ledger.merge

    def broken(self: Ledger, operation: Merge) -> list[Copy]:
        behind = self.batch(operation.tail).size
        copies = merge(self, operation)
        head = self.batch(operation.head)
        head.queries = head.queries[-behind:] + head.queries[:-behind]
        return copies

    patch.setattr(Ledger, "merge", broken)


def a_merge_forgets_to_copy(patch: pytest.MonkeyPatch) -> None:
    merge = Ledger.merge

    def broken(self: Ledger, operation: Merge) -> list[Copy]:
        merge(self, operation)
        return []

    patch.setattr(Ledger, "merge", broken)


def a_hold_is_never_released(patch: pytest.MonkeyPatch) -> None:
    """A held batch that waits however much it costs."""
    patch.setattr(Ledger, "arrive", lambda self, batch: self.move(batch, BatchEvent.PASSED))


def a_hold_forgets_whom_it_waits_for(patch: pytest.MonkeyPatch) -> None:
    hold = Ledger.hold

    def broken(self: Ledger, operation: Hold) -> None:
        hold(self, operation)
        self.batch(operation.batch).tail = None

    patch.setattr(Ledger, "hold", broken)


def a_stretch_takes_one_query_too_few(patch: pytest.MonkeyPatch) -> None:
    stretch = Ledger.stretch

    def broken(self: Ledger, operation: Stretch) -> Batch:
        tail = stretch(self, operation)
        if tail.size > 1:
            tail.queries = tail.queries[:-1]
        return tail

    patch.setattr(Ledger, "stretch", broken)


def a_failure_takes_the_tail_with_it(patch: pytest.MonkeyPatch) -> None:
    fail = Machine._fail_batch

    def broken(self: Machine, batch: Batch, reason: str, *, rows_lost: bool = False) -> None:
        tail = None if batch.tail is None else self.ledger.batch(batch.tail)
        fail(self, batch, reason, rows_lost=rows_lost)
        if tail is not None and tail.launch_id is None:
            fail(self, tail, reason)

    patch.setattr(Machine, "_fail_batch", broken)


def a_failure_is_silent(patch: pytest.MonkeyPatch) -> None:
    """Errors that end a thread silently."""
    fail = Machine._fail_batch

    def broken(self: Machine, batch: Batch, reason: str, *, rows_lost: bool = False) -> None:
        said = len(self._commands)
        fail(self, batch, reason, rows_lost=rows_lost)
        del self._commands[said:]

    patch.setattr(Machine, "_fail_batch", broken)


def a_cancelled_query_is_answered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Batch, "live_ids", property(lambda self: tuple(query.id for query in self.queries)))


def a_query_is_taken_but_stays(patch: pytest.MonkeyPatch) -> None:
    def broken(self: WaitingRoom, lane: int, query_id: int) -> Query:
        return self._queues[lane][query_id]

    patch.setattr(WaitingRoom, "remove", broken)


def wake_ups_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """After a while nobody asks again, and what waits waits for ever."""
    plan = Machine._plan

    def broken(self: Machine) -> None:
        plan(self)
        if self.wake_ns is not None:
            self.wake_ns = None
            self._commands.pop()

    patch.setattr(Machine, "_plan", broken)


MUTANTS: tuple[Break, ...] = (
    rows_of_a_tail_start_at_0,
    executors_return_at_the_launch,
    executors_never_return,
    lost_executors_return,
    a_successor_takes_the_place_of_the_lost,
    late_queries_are_kept,
    a_set_returns_with_its_first_tenant,
    rows_of_lost_launches_return,
    a_split_loses_its_last_part,
    a_split_mixes_its_members,
    a_merge_puts_the_tail_in_front,
    a_merge_forgets_to_copy,
    a_hold_is_never_released,
    a_hold_forgets_whom_it_waits_for,
    a_stretch_takes_one_query_too_few,
    a_failure_takes_the_tail_with_it,
    a_failure_is_silent,
    a_cancelled_query_is_answered,
    a_query_is_taken_but_stays,
    wake_ups_are_forgotten,
)
