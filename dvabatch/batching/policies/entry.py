"""Ways into the machine: how waiting queries become batches. Policies are put together from these and from boundary rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from dvabatch.batching.operations import New, Operation, Wake
from dvabatch.batching.view import BatchView, View

GoingOn: TypeAlias = Callable[[View, BatchView], Iterable[Operation]]  # what a batch that has just entered does


@dataclass(frozen=True, slots=True)
class FillOrWait:
    """Wait until a batch is full or its oldest query has waited long enough: the dynamic batcher of today's servers.

    At most `instances` batches are under way (counted as buffer sets in use: a batch and its parts share one). With
    `mixed` one queue serves all lengths, padded to the longest member; else each lane fills batches of its own.
    """

    max_batch: int
    max_delay_ns: int
    instances: int
    mixed: bool = False

    def plan(self, view: View, through: int = 0) -> Operation | None:
        """The one batch to open now, or when to ask again; None where a stage to `through` has no free executor."""
        picked = self.pick(view, through)
        return self.opened(view, picked) if isinstance(picked, int) else picked

    def pick(self, view: View, through: int = 0) -> int | Wake | None:
        """As `plan`, but of a batch to open now only the lane that it is for; any, with `mixed`."""
        if not view.waiting.count or view.sets_in_use >= self.instances or not view.free_sets or not view.idle[0]:
            return None
        if through and not view.idle_through(0, through):
            return None
        return self._from_all(view) if self.mixed else self._from_a_lane(view)

    def rows(self, view: View, picked: int) -> int:
        """How many would enter a batch of that lane."""
        waiting = view.waiting
        return min(self.max_batch, waiting.count if self.mixed else waiting.in_lane(picked))

    def opened(self, view: View, picked: int) -> New:
        """A batch of that lane."""
        waiting = view.waiting
        if self.mixed:
            return New(*waiting.first_of_any(self.max_batch))
        return New(picked, waiting.first(picked, self.max_batch))

    def enter(self, view: View, go: GoingOn, through: int = 0) -> Iterator[Operation]:
        """Open batch after batch while `plan` says so; `go` says how each goes on."""
        while True:
            batch_id, operation = view.next_batch_id, self.plan(view, through)
            if operation is None:
                return
            yield operation
            if type(operation) is Wake:
                return
            yield from go(view, view.batch_by_id[batch_id])

    def _from_a_lane(self, view: View) -> int | Wake:
        """The lane whose oldest query came first goes first; a full lane goes before one that still waits."""
        waiting = view.waiting
        best: tuple[int, int] | None = None
        wake_ns: int | None = None
        for lane in range(len(view.limits.lanes)):
            oldest = waiting.oldest(lane)
            if oldest is None:
                continue
            due_ns = oldest.arrival_ns + self.max_delay_ns
            if waiting.in_lane(lane) >= self.max_batch or due_ns <= view.now_ns:
                if best is None or oldest.id < best[0]:
                    best = oldest.id, lane
            else:
                wake_ns = due_ns if wake_ns is None else min(wake_ns, due_ns)
        if best is not None:
            return best[1]
        assert wake_ns is not None
        return Wake(wake_ns)

    def _from_all(self, view: View) -> int | Wake:
        if view.waiting.count < self.max_batch:
            oldest = view.waiting.oldest_of_any()
            if oldest is not None and oldest.arrival_ns + self.max_delay_ns > view.now_ns:
                return Wake(oldest.arrival_ns + self.max_delay_ns)
        return 0


@dataclass(frozen=True, slots=True)
class JustInTime:
    """As `entry`, with two instances, but the second is opened no sooner before the first should end than it takes to get to
    the device.

    While one batch runs, the host queues the next one, and its rows go to the device: that goes from batch to batch without a
    pause. Opened any sooner, a batch would leave behind who comes meanwhile, and slow down the one that runs.

    When a batch should end is reckoned from the profile, and from the end of the one before it: where a device takes longer
    than its profile says, each batch is opened too soon by that, and none by more than the one before it. What a launch takes
    goes by the host's pace.
    """

    entry: FillOrWait

    def __post_init__(self) -> None:
        if self.entry.instances != 2:
            raise ValueError(f"one batch comes in time for one other: {self.entry.instances} instances came, wanted 2")

    def plan(self, view: View) -> Operation | None:
        """The one batch to open now, or when to ask again."""
        entry, picked = self.entry, self.entry.pick(view)
        if not isinstance(picked, int):
            return picked
        if view.sets_in_use:
            # Most arrivals come long before it is due: who is to enter is not asked yet.
            due_ns = self._end_ns(view) - _before_ns(view, entry.rows(view, picked))
            if view.costs.one_host:  # a thread that waits for an instant is at rest until then
                due_ns -= view.costs.wake_ns
            if due_ns > view.now_ns:
                return Wake(due_ns)
        return entry.opened(view, picked)

    @staticmethod
    def _end_ns(view: View) -> int:
        """When the batch under way should end: it began as it came to the device, or as the one before it left."""
        ends_ns = view.now_ns
        for batch in view.batches:
            launch_ns = batch.first_launch_ns
            if launch_ns is not None:
                wake_ns = view.costs.wake_ns if launch_ns > view.last_end_ns else 0
                began_ns = max(launch_ns + wake_ns + _before_ns(view, batch.size), view.last_end_ns)
                ends_ns = began_ns + view.profile.span_ns(0, view.limits.last_stage, batch.size, batch.lane)
        return ends_ns


def _before_ns(view: View, rows: int) -> int:
    """What passes from the launch of so many rows until the device begins with them, where it has not gone to rest."""
    costs = view.costs
    return costs.host_ns(0, rows) + costs.transfer_ns(0, rows)
