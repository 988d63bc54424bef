"""AUTO: ordinary batching while that is best, early entry while the device has room, catching up where it pays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from dvabatch.batching.operations import Advance, Merge, New, Operation, Stretch, Wake
from dvabatch.batching.policies.boundary import advance
from dvabatch.batching.policies.entry import FillOrWait, JustInTime
from dvabatch.batching.states import BatchState
from dvabatch.batching.view import BatchView, View

_READY, _RUNNING = BatchState.READY, BatchState.RUNNING
_FULL = 1.0 + 1e-9  # shares are sums of rounded numbers
# So many standard deviations of a Poisson count above the usual are no chance any more: more load has come than the pace shows.
# A queue's numbers vary more than such a count: with two, chance alone went on to the next setting now and then.
_CROWD = 3.0


@dataclass(frozen=True, slots=True)
class Setting:
    """How AUTO goes about a certain load.

    `up_to`: the utilization (arriving work over what the device can do at its best batch size) to which it serves.
    `entry`: when to open a batch. With `in_room`, only while the device has room: while the shares in flight and the new
    one's sum to 1 or less. With `catching_up`, batches go a stage at a time, and queries that wait catch up with one that
    stands at a boundary where that pays; without, a batch goes straight through. `usual`: how many queries are here on
    average, waiting or in batches, at the load that it is meant for; None where nobody knows.
    """

    up_to: float
    entry: FillOrWait | JustInTime
    in_room: bool
    catching_up: bool
    usual: float | None = None

    def is_outgrown(self, present: int) -> bool:
        """Whether so many are here that more load must have come than it is meant for."""
        return self.usual is not None and present > max(1.0, self.usual + _CROWD * sqrt(self.usual))


@dataclass(frozen=True, slots=True)
class Auto:
    """Settings by load, and `foresight`: what a nanosecond of the device is worth to those expected, in query nanoseconds.

    The settings come from the profile alone (they are tuned in simulation); which of them serves is decided by the pace of
    arrivals so far, and by who is here: a burst is seen in the crowd before it is seen in the pace.
    """

    settings: tuple[Setting, ...]
    foresight: float = 2.0

    def __post_init__(self) -> None:
        rising = all(one.up_to < other.up_to for one, other in pairwise(self.settings))
        if not self.settings or not rising:
            raise ValueError(f"settings serve up to {[s.up_to for s in self.settings]}; wanted one or more, rising")

    @property
    def digest(self) -> str:
        return f"AUTO {self.settings} {self.foresight}"

    def setting(self, utilization: float, present: int) -> Setting:
        """The first that serves at this load and is not outgrown by the queries present; the last one serves beyond."""
        for setting in self.settings:
            if utilization <= setting.up_to and not setting.is_outgrown(present):
                return setting
        return self.settings[-1]

    def plan(self, view: View) -> Iterator[Operation]:
        present = view.waiting.count + sum([batch.size for batch in view.batches])
        setting = self.setting(view.utilization(), present)
        # What the device has to do is summed up only for who asks: most instants are arrivals, and entry by count does not.
        busy = self._busy(view) if setting.in_room or view.ready else 0.0
        for batch in view.ready:
            if batch.tail is not None:
                tail = view.batch_by_id[batch.tail]
                if tail.state is _READY and tail.stage == batch.stage:
                    yield Merge(batch.id, tail.id)
        for batch in view.ready:
            if not view.idle[batch.stage] or not _fits(view, busy, batch.stage, batch.size, batch.lane):
                continue
            if batch.head is not None:
                launched, stop = batch, view.batch_by_id[batch.head].stage
            elif batch.tail is not None:
                continue  # its tail is on the way
            elif setting.catching_up and (late := self._newcomers(view, batch)):
                tail_id = view.next_batch_id
                yield Stretch(batch.id, view.waiting.first(batch.lane, late))
                launched, stop = view.batch_by_id[tail_id], batch.stage
            else:
                launched, stop = batch, batch.stage + 1 if setting.catching_up else view.limits.stages
            busy += view.profile.share(launched.stage, launched.size, launched.lane)
            yield advance(view, launched.id, launched.stage, stop)
        while view.idle[0]:
            batch_id, operation = view.next_batch_id, setting.entry.plan(view)
            if operation is None:
                return
            if type(operation) is Wake:
                yield operation
                return
            assert type(operation) is New
            if setting.in_room and not _fits(view, busy, 0, len(operation.query_ids), operation.lane):
                return
            yield operation
            batch = view.batch_by_id[batch_id]
            busy += view.profile.share(0, batch.size, batch.lane)
            through = 0 if setting.catching_up else view.limits.last_stage
            yield Advance(batch_id, through if view.idle_through(0, through) else 0)

    @staticmethod
    def _busy(view: View) -> float:
        """The device shares in flight."""
        share = view.profile.share
        return sum([share(b.stage, b.size, b.lane) for b in view.batches if b.state is _RUNNING])

    def _newcomers(self, view: View, batch: BatchView) -> int:
        """How many of those who wait should catch up with a batch that stands at a boundary; 0 if it does not pay."""
        late = min(view.waiting.in_lane(batch.lane), view.room(batch.id), view.limits.max_batch - batch.size)
        if batch.stage == 0 or late <= 0 or not view.idle[0]:
            return 0
        return late if self._gain_ns(view, batch, late) > 0 else 0

    def _gain_ns(self, view: View, batch: BatchView, late: int) -> float:
        """What catching up saves everyone, in query nanoseconds.

        Either the batch goes on and those who wait go behind it (or beside it, where the device has room for both), or they
        catch up first and all go on as one. Both are reckoned to the end of the stages, boundaries included; the device time
        that is saved counts for those expected.
        """
        profile, lane, stage, size = view.profile, batch.lane, batch.stage, batch.size
        last, boundary_ns = view.limits.last_stage, view.costs.boundary_ns
        alone_ns = profile.span_ns(stage, last, size, lane)
        late_ns = profile.span_ns(0, last, late, lane)
        catching_ns = profile.span_ns(0, stage - 1, late, lane) + boundary_ns
        merged_ns = profile.span_ns(stage, last, size + late, lane)
        share, late_share = profile.share(stage, size, lane), profile.share(0, late, lane)
        waits_ns = 0 if share + late_share <= _FULL else alone_ns
        apart = size * alone_ns + late * (waits_ns + late_ns)
        together = (size + late) * (catching_ns + merged_ns)
        saved_ns = share * alone_ns + late_share * late_ns - late_share * catching_ns
        saved_ns -= profile.share(stage, size + late, lane) * merged_ns
        return apart - together + self.foresight * saved_ns


def _fits(view: View, busy: float, stage: int, size: int, lane: int) -> bool:
    """Whether the device has room for one more; an empty one always has."""
    return not busy or busy + view.profile.share(stage, size, lane) <= _FULL
