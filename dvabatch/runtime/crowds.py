"""Batches that run beside others of their size on a device, begun at random: by how much they slow each other down."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from dvabatch.batching.costs import Costs
from dvabatch.batching.curve import Curve
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.driven import Crowded, Driven
from dvabatch.runtime.loops import Alike, random_arrivals_ns, slowdown_at_once

# A GPU's clock in MHz between two instants of `time.perf_counter_ns`; None where nobody knows.
Clock: TypeAlias = Callable[[int, int], float | None]
_LONG_NS: Final = 5e8  # what takes the device longer hangs little on the host
# Of what is served at best, where launches begin at random: often as many at once as may be, seldom a queue.
_OFFERED: Final = 0.75


class _Crowd(NamedTuple):
    """Batches of one size that come at random, of which so many run at once at the most."""

    lane: int
    size: int
    most: int
    arrivals_ns: tuple[int, ...]


class Crowds:
    """Measures them through the driver of a run, all of them by turns.

    A host has slow spells: of several turns that counts in which it was fastest, whatever came out.
    """

    def __init__(
        self,
        driven: Driven,
        draft: Profile,
        *,
        cycles: int,
        launches: int,
        clock: Clock,
    ) -> None:
        """`cycles` of as many batches as run at once tell what is served at best; so many `launches` begin at random."""
        self._driven = driven
        self._draft = draft
        self._cycles = cycles
        self._launches = launches
        self._clock = clock
        self._crowds: list[_Crowd] = []
        self._usual: dict[_Crowd, tuple[Crowded, float | None]] = {}  # and the clock meanwhile

    def add(self, lane: int, size: int, most: int) -> None:
        """A crowd to measure; those of a lane and size come with rising `most`."""
        policy = Normal(FillOrWait(size, 0, most))
        round_ns = self._driven.queued(self._draft, policy, size, self._cycles * most, most, lane).round_ns
        arrivals_ns = random_arrivals_ns(self._launches, round_ns / most / _OFFERED, seed=most)
        self._crowds.append(_Crowd(lane, size, most, tuple(arrivals_ns)))

    def take_turn(self) -> None:
        """Measures each of them once more, but for those that last.

        What is heavy for the device lowers its clock, and what is told of the clock comes late: so the heavy ones come first,
        and none follows one that is far heavier.
        """
        again = bool(self._usual)
        for crowd in sorted(self._crowds, key=self._weight, reverse=True):
            if not again or crowd.arrivals_ns[-1] < _LONG_NS:
                began_ns = time.perf_counter_ns()
                found = self._beside_each_other(crowd)
                if crowd not in self._usual or found < self._usual[crowd][0]:
                    self._usual[crowd] = found, self._clock(began_ns, time.perf_counter_ns())

    def _weight(self, crowd: _Crowd) -> float:
        return crowd.most * self._draft.device_ns(crowd.size, crowd.lane)

    def slowdowns(self, costs: Costs) -> list[dict[int, Curve]]:
        """By lane and size, the slowdown by how many run at once, where launches cost so much."""
        usual = self._usual
        # One curve is not to mix clocks: it is told at that of the stages, if that of all its crowds is known.
        unclocked = {(crowd.lane, crowd.size) for crowd, (_, mhz) in usual.items() if mhz is None}
        points: list[dict[int, list[tuple[float, float]]]] = [{} for _ in self._draft.lanes]
        for crowd in self._crowds:
            fewer = points[crowd.lane].setdefault(crowd.size, [])
            found, mhz = usual[crowd]
            mhz = None if (crowd.lane, crowd.size) in unclocked else mhz
            fewer.append((crowd.most, self._slowdown(crowd, costs, found, mhz, fewer)))
        return [{size: Curve(tuple(of_size)) for size, of_size in of_lane.items()} for of_lane in points]

    def _beside_each_other(self, crowd: _Crowd) -> Crowded:
        policy = Normal(FillOrWait(crowd.size, 0, crowd.most))
        return self._driven.crowded(self._draft, policy, crowd.size, crowd.arrivals_ns, crowd.lane)

    def _slowdown(
        self, crowd: _Crowd, costs: Costs, found: Crowded, mhz: float | None, fewer: list[tuple[float, float]]
    ) -> float:
        # What a slow host adds is no slowdown of launches by each other.
        there = costs.at_pace(costs.pace_of(found.queueing_ns, crowd.size) or 1.0)
        # Nor is a lower clock than the one at which launches were timed alone.
        draft = self._draft if mhz is None else self._draft.at_clock(mhz)
        alike = Alike(
            draft.span_ns(0, draft.stages - 1, crowd.size, crowd.lane),
            there.busy_ns(0, crowd.size),
            there.transfer_ns(0, crowd.size),
            there.wake_ns,
            there.host_ns(0, crowd.size) - there.busy_ns(0, crowd.size),
        )
        return slowdown_at_once(found.response_ns, crowd.arrivals_ns, alike, crowd.most, fewer)
