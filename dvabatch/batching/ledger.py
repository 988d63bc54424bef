"""The ledger: who waits, which batches live, and who owns which rows and executors.

It carries out one operation at a time and checks that it is legal; what the operation means for a driver is the machine's
to say. Policies see it through `View`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, ValuesView

from dvabatch.batching.batch import Batch
from dvabatch.batching.commands import Copy, Launch
from dvabatch.batching.errors import OperationError
from dvabatch.batching.executors import Executors
from dvabatch.batching.limits import Limits
from dvabatch.batching.operations import Advance, Hold, Merge, New, Split, Stretch
from dvabatch.batching.pace import Pace
from dvabatch.batching.place import BufferSets, Place
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.batching.ready import ReadyBatches
from dvabatch.batching.states import BATCH_STEPS, BatchEvent, BatchState, next_batch_state
from dvabatch.batching.waiting import WaitingRoom

_READY, _HELD = BatchState.READY, BatchState.HELD
_LAUNCHED, _PASSED = BatchEvent.LAUNCHED, BatchEvent.PASSED
# What the constructor of a named tuple calls, and half as dear: every launch and every part of a split needs one.
_new = tuple.__new__


class Ledger:
    """Everything the machine knows at `now_ns`."""

    __slots__ = (
        "_bound_for", "_pace", "batch_by_id", "costs", "executors", "followers", "idle", "idle_through", "last_end_ns",
        "launches", "limits", "next_batch_id", "next_launch_id", "now_ns", "profile", "ready_batches", "sets", "waiting",
    )  # fmt: skip

    def __init__(self, limits: Limits, profile: Profile) -> None:
        self.limits = limits
        self.profile = profile
        self.costs = profile.costs
        self.now_ns = 0
        self.waiting = WaitingRoom(len(limits.lanes))
        self._pace = Pace(profile, limits.max_batch, self.waiting.arrived)
        self.sets = BufferSets(limits.buffer_sets, limits.max_batch)
        self.executors = Executors(limits.stages, limits.executors_per_stage)
        self.idle, self.idle_through = self.executors.idle, self.executors.idle_through
        self.batch_by_id: dict[int, Batch] = {}
        # By lane and boundary: how many batches stand there or are on their way.
        self._bound_for = [[0] * (limits.stages + 1) for _ in limits.lanes]
        self.ready_batches = ReadyBatches(limits.stages)
        self.launches: dict[int, Launch] = {}  # in flight
        self.followers: dict[int, int] = {}  # launch -> the launch queued behind it
        self.last_end_ns = -1
        self.next_batch_id = 0
        self.next_launch_id = 0

    def host_paced(self, percent: int) -> None:
        """What the host does takes so many percent of what the profile says."""
        self.costs = self.profile.costs.at_pace(percent / 100)

    # What policies see --------------------------------------------------------------------------------------------

    @property
    def batches(self) -> ValuesView[Batch]:
        return self.batch_by_id.values()

    @property
    def youngest_first(self) -> Iterator[Batch]:
        return reversed(self.batch_by_id.values())

    @property
    def ready(self) -> Sequence[Batch]:
        return self.ready_batches.all()

    @property
    def startable(self) -> Sequence[Batch]:
        return self.ready_batches.startable(self.idle)

    def ready_at(self, stage: int) -> Sequence[Batch]:
        return self.ready_batches.at(stage)

    def utilization(self) -> float:
        return self._pace.utilization(self.now_ns)

    @property
    def free_sets(self) -> int:
        return self.sets.free

    @property
    def sets_in_use(self) -> int:
        return self.sets.in_use

    def batch(self, batch_id: int) -> Batch:
        """A live batch that an operation names."""
        try:
            return self.batch_by_id[batch_id]
        except KeyError:
            raise OperationError(f"batch {batch_id} is not live; live are {sorted(self.batch_by_id)}") from None

    def hindmost_beside(self, batch_id: int) -> int:
        batch = self.batch_by_id[batch_id]
        for boundary, count in enumerate(self._bound_for[batch.lane]):
            if count > (boundary == batch.boundary):
                return boundary
        return self.limits.stages

    def right_behind(self, batch_id: int) -> Batch | None:
        behind = self.sets.right_behind(self.batch_by_id[batch_id].place)
        return None if behind is None else self.batch_by_id.get(behind)

    def bound_for(self, lane: int) -> Sequence[int]:
        return self._bound_for[lane]

    def room(self, batch_id: int) -> int:
        batch = self.batch_by_id[batch_id]
        return self.sets.room_behind(batch.place if batch.tail is None else self.batch_by_id[batch.tail].place)

    def can_merge(self, head: int, tail: int) -> bool:
        first, second = self.batch_by_id[head], self.batch_by_id[tail]
        if first.place.adjoins(second.place):
            return True
        total = first.size + second.size
        return total <= self.limits.max_batch and (
            self.sets.room_behind(first.place) >= second.size or self.sets.free > 0
        )

    # Operations ---------------------------------------------------------------------------------------------------

    def open(self, operation: New) -> Batch:
        """A batch of waiting queries, in a free set from row 0."""
        lane, ids = operation.lane, operation.query_ids
        if not self.sets.free:
            raise OperationError(f"{operation}: no buffer set is free")
        if not 0 < len(ids) <= self.limits.max_batch:
            raise OperationError(f"{operation}: wanted 1 to {self.limits.max_batch} queries, got {len(ids)}")
        queries = self._admit(lane, ids)
        batch_id = self._new_id()
        return self._open(Batch(batch_id, lane, queries, self.sets.take(batch_id, len(queries)), 0, ids))

    def stretch(self, operation: Stretch) -> Batch:
        """Waiting queries become the head's tail, right behind it, or join the tail that has not started."""
        head = self.batch(operation.head)
        if head.boundary >= self.limits.stages:
            raise OperationError(f"{operation}: batch {head.id} stops at no boundary any more")
        if head.head is not None:
            raise OperationError(f"{operation}: batch {head.id} is itself the tail of {head.head}")
        tail = None if head.tail is None else self.batch_by_id[head.tail]
        if tail is not None and (tail.state is not _READY or tail.stage != 0):
            raise OperationError(f"{operation}: its tail {tail.id} has started; a head has one tail at most")
        room = self.room(head.id)
        if not 0 < len(operation.query_ids) <= room:
            raise OperationError(
                f"{operation}: wanted 1 to {room} queries (the free rows), got {len(operation.query_ids)}"
            )
        queries = self._admit(head.lane, operation.query_ids)
        if tail is None:
            batch_id = self._new_id()
            place = self.sets.claim(batch_id, Place(head.place.buffer_set, head.place.end_row, len(queries)))
            tail = self._open(Batch(batch_id, head.lane, queries, place, 0, operation.query_ids))
            self._tie(head, tail)
        else:
            tail.queries += queries
            place = Place(tail.place.buffer_set, tail.place.first_row, tail.size)
            tail.place = self.sets.claim(tail.id, place)
        return tail

    def merge(self, operation: Merge) -> list[Copy]:
        """One batch of two at the same boundary. Side by side it costs nothing; else rows are copied."""
        head, tail = self.batch(operation.head), self.batch(operation.tail)
        for one, other in ((head, tail), (tail, head)):
            if one.state is not _READY:
                raise OperationError(f"{operation}: batch {one.id} is {one.state.name}, wanted READY")
            if (one.tail is not None and one.tail != other.id) or (one.head is not None and one.head != other.id):
                raise OperationError(f"{operation}: batch {one.id} is tied to another batch")
        if head is tail or head.stage != tail.stage or head.lane != tail.lane:
            raise OperationError(f"{operation}: wanted two batches of one lane at one boundary")
        if not (head.place.adjoins(tail.place) or self.can_merge(head.id, tail.id)):
            raise OperationError(f"{operation}: no rows for {head.size} + {tail.size} queries")
        copies = self._bring_together(head, tail)
        self._untie(tail)
        self._untie(head)
        head.queries += tail.queries
        head.cancelled |= tail.cancelled
        if tail.first_launch_ns is not None:
            starts = (head.first_launch_ns, tail.first_launch_ns)
            head.first_launch_ns = min(start for start in starts if start is not None)
        self.move(tail, BatchEvent.JOINED)
        self._close(tail)
        return copies

    def split(self, operation: Split) -> list[Batch]:
        """The parts, in row order; they stay where they lie."""
        whole = self.batch(operation.batch)
        sizes = operation.sizes
        if whole.state is not _READY:
            raise OperationError(f"{operation}: batch {whole.id} is {whole.state.name}, wanted READY")
        if whole.head is not None or whole.tail is not None:
            raise OperationError(f"{operation}: batch {whole.id} is tied to another batch")
        if len(sizes) < 2 or min(sizes) < 1 or sum(sizes) != whole.size:
            raise OperationError(f"{operation}: wanted two or more positive sizes that sum to {whole.size}")
        self.move(whole, BatchEvent.DIVIDED)
        self._close(whole)
        parts, row = [], 0
        buffer_set, first_row, _ = whole.place
        ids = whole.ids
        for size in sizes:
            place, behind = _new(Place, (buffer_set, first_row + row, size)), row + size
            part = Batch(self._new_id(), whole.lane, whole.queries[row:behind], place, whole.stage, ids[row:behind])
            part.first_launch_ns = whole.first_launch_ns
            parts.append(self._open(part))
            row = behind
        self.sets.divide(whole.id, buffer_set, {part.id: part.place for part in parts})
        if whole.cancelled:
            for part in parts:
                part.cancelled = {query.id for query in part.queries if query.id in whole.cancelled}
                if part.is_empty:
                    self.end(part, BatchEvent.EMPTIED)
        return parts

    def hold(self, operation: Hold) -> None:
        """Keeps a batch where it is until `tail` arrives or ends."""
        batch, tail = self.batch(operation.batch), self.batch(operation.tail)
        if tail.stage >= batch.stage or tail.lane != batch.lane:
            raise OperationError(f"{operation}: wanted a tail of the same lane that is still behind")
        if batch.state is not _READY:
            raise OperationError(f"{operation}: batch {batch.id} is {batch.state.name}, wanted READY")
        if batch.tail != tail.id:
            if batch.tail is not None or tail.head is not None:
                raise OperationError(f"{operation}: one of them is tied to another batch")
            self._tie(batch, tail)
        self.move(batch, BatchEvent.HELD)

    def launch(self, operation: Advance) -> Launch:
        """Puts a batch on one executor of every stage through `through`."""
        batch_id, last, behind = operation
        batch = self.batch_by_id.get(batch_id) or self.batch(batch_id)  # which refuses it by name
        first = batch.stage
        if not first <= last < self.limits.stages:
            raise OperationError(f"{operation}: batch {batch.id} stands before stage {first} of {self.limits.stages}")
        launch_id = self.next_launch_id
        if behind is None:
            if not (self.idle[first] if first == last else self.idle_through(first, last)):
                raise OperationError(f"{operation}: a stage from {first} to {last} has no idle executor")
            self.move(batch, _LAUNCHED)
            executors = self.executors.take(first, last, launch_id)
        else:
            ahead = self.launches.get(behind)
            taken = behind in self.followers or behind in self.followers.values()
            if ahead is None or taken or not ahead.first_stage <= first <= last <= ahead.last_stage:
                raise OperationError(
                    f"{operation}: launch {behind} is not in flight, is in a queue already, or spans other stages"
                )
            self.move(batch, _LAUNCHED)
            executors = ahead.executors[first - ahead.first_stage : last - ahead.first_stage + 1]
            self.followers[behind] = launch_id
        if batch.tail is not None:  # it goes on without the tail
            self._untie(batch)
        self.next_launch_id += 1
        bound_for = self._bound_for[batch.lane]
        bound_for[first] -= 1
        bound_for[last + 1] += 1
        batch.boundary = last + 1
        batch.launch_id = launch_id
        if batch.first_launch_ns is None:
            batch.first_launch_ns = self.now_ns
        launch = _new(Launch, (launch_id, batch_id, batch.lane, first, last, batch.place, batch.ids, executors, behind))
        self.launches[launch_id] = launch
        return launch

    def move(self, batch: Batch, event: BatchEvent) -> None:
        """Takes a batch to its next state. Every change of state comes through here: who is ready is known without a search."""
        before = batch.state
        after = BATCH_STEPS[before][event]
        if after is None:
            after = next_batch_state(batch.id, before, event)  # which refuses it by name
        batch.state = after
        if after is _READY:
            self.ready_batches.add(batch)
        elif before is _READY:
            self.ready_batches.remove(batch)

    # What events do -----------------------------------------------------------------------------------------------

    def leave_executors(self, launch: Launch) -> None:
        """A launch has ended on the device: its executors go to the launch behind it, or are free."""
        del self.launches[launch.id]
        self.last_end_ns = self.now_ns
        follower_id = self.followers.pop(launch.id, None) if self.followers else None
        if follower_id is None:
            self.executors.put_back(launch.first_stage, launch.executors)
            return
        follower = self.launches[follower_id]
        self.executors.give(follower.first_stage, follower.executors, follower_id)
        left = follower.first_stage - launch.first_stage
        kept = left + len(follower.executors)
        self.executors.put_back(launch.first_stage, launch.executors[:left])
        self.executors.put_back(launch.first_stage + kept, launch.executors[kept:])

    def end(self, batch: Batch, event: BatchEvent, *, rows_lost: bool = False) -> None:
        """A batch comes to an end of its own: its rows return (unless lost), and whoever waits for it goes on."""
        self.move(batch, event)
        if batch.tail is not None:
            self._untie(batch)
        if batch.head is not None:
            self._untie(self.batch_by_id[batch.head])
        self._close(batch)
        if rows_lost:
            self.sets.lose(batch.place.buffer_set)
        else:
            self.sets.vacate(batch.id, batch.place.buffer_set)

    def void(self, batch: Batch) -> None:
        """The launch of a batch never started: it stands where it stood."""
        self.move(batch, BatchEvent.VOIDED)
        batch.launch_id = None
        bound_for = self._bound_for[batch.lane]
        bound_for[batch.boundary] -= 1
        bound_for[batch.stage] += 1
        batch.boundary = batch.stage

    def arrive(self, batch: Batch) -> None:
        """A batch stands at a boundary between stages: a head that was held for it is free to merge."""
        self.move(batch, _PASSED)
        if batch.head is not None:
            head = self.batch_by_id[batch.head]
            if head.state is _HELD and batch.stage >= head.stage:
                self.move(head, BatchEvent.RELEASED)

    def find_batch(self, query_id: int) -> Batch | None:
        """The live batch that holds this query. Linear: cancellations are rare, arrivals are not."""
        for batch in self.batch_by_id.values():
            for query in batch.queries:
                if query.id == query_id:
                    return None if query_id in batch.cancelled else batch
        return None

    # Within -------------------------------------------------------------------------------------------------------

    def _open(self, batch: Batch) -> Batch:
        self.batch_by_id[batch.id] = batch
        self.ready_batches.add(batch)
        self._bound_for[batch.lane][batch.stage] += 1
        return batch

    def _close(self, batch: Batch) -> None:
        del self.batch_by_id[batch.id]
        self._bound_for[batch.lane][batch.boundary] -= 1

    def _new_id(self) -> int:
        batch_id = self.next_batch_id
        self.next_batch_id += 1
        return batch_id

    def _admit(self, lane: int, ids: tuple[int, ...]) -> tuple[Query, ...]:
        """Takes queries out of the waiting room: all, or none if one of them does not fit."""
        if not 0 <= lane < len(self.limits.lanes):
            raise OperationError(f"lane {lane} does not exist; lanes are 0 to {len(self.limits.lanes) - 1}")
        queries = self.waiting.take(lane, ids)
        if queries is None:
            if len(set(ids)) < len(ids):
                raise OperationError(f"a query is named twice in {ids}")
            missing = [query_id for query_id in ids if (at := self.waiting.find(query_id)) is None or at[0] > lane]
            raise OperationError(f"query {missing[0]} does not wait for lane {lane}")
        return queries

    def _tie(self, head: Batch, tail: Batch) -> None:
        head.tail, tail.head = tail.id, head.id

    def _untie(self, head: Batch) -> None:
        """Cuts the tie between a head and its tail; a head that was held is free."""
        if head.tail is None:
            return
        self.batch_by_id[head.tail].head = None
        head.tail = None
        if head.state is _HELD:
            self.move(head, BatchEvent.RELEASED)

    def _bring_together(self, head: Batch, tail: Batch) -> list[Copy]:
        """Gives both one place under the head's name, and says which rows have to be copied for it."""
        total = head.size + tail.size
        if head.place.adjoins(tail.place):
            head.place = self.sets.join(head.id, tail.id, Place(head.place.buffer_set, head.place.first_row, total))
            return []
        if self.sets.room_behind(head.place) >= tail.size:
            target = Place(head.place.buffer_set, head.place.end_row, tail.size)
            copies = [Copy(tail.place, target, head.stage, head.lane)]
            head.place = self.sets.claim(head.id, Place(head.place.buffer_set, head.place.first_row, total))
        else:
            place = self.sets.take(head.id, total)
            copies = [
                Copy(head.place, Place(place.buffer_set, 0, head.size), head.stage, head.lane),
                Copy(tail.place, Place(place.buffer_set, head.size, tail.size), head.stage, head.lane),
            ]
            self.sets.vacate(head.id, head.place.buffer_set)
            head.place = place
        self.sets.vacate(tail.id, tail.place.buffer_set)
        return copies
