"""Batches that run beside others of their size on a device, begun at random: by how much they slow each other down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from dvabatch.batching.costs import Costs
from dvabatch.batching.curve import Curve
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.driven import Driven
from dvabatch.runtime.loops import Alike, Series, random_arrivals_ns, slowdown_at_once, usual_ns

_LONG_NS: Final = 5e8  # what takes the device longer hangs little on the host
# Of what is served at best, where launches begin at random: often as many at once as may be, seldom a queue.
_OFFERED: Final = 0.75
# Launches of a series, for each that may run at once, and the most: with fewer there are seldom as many at once as may be, and
# with more the clock may have moved meanwhile.
_SERIES: Final = 20
_LONGEST: Final = 80


class _Crowd(NamedTuple):
    """Batches of one size that come at random, in several series, of which so many run at once at the most."""

    lane: int
    size: int
    most: int
    arrivals_ns: tuple[tuple[int, ...], ...]


class _Turn(NamedTuple):
    """One of a crowd: of two, that counts which the host disturbed less."""

    queueing_ns: float  # for which queueing a launch kept the driver's thread, of those that found others, if any did
    response_ns: float
    alone_ns: tuple[float, ...]  # that a batch took by itself before the first series, and behind each


class Crowds:
    """Measures them through the driver of a run, all of them by turns.

    A host has slow spells: of several turns that counts in which it was fastest, whatever came out. A device that comes to its
    power cap lowers its clock, by as much as it has had to do lately: so what a batch takes by itself is asked anew around each
    series, and not taken from what was measured when the device was cooler, or hotter.
    """

    def __init__(
        self,
        driven: Driven,
        draft: Profile,
        apart: Sequence[Mapping[int, float]],
        *,
        cycles: int,
        launches: int,
        alone_s: float,
    ) -> None:
        """`apart` says by lane and size what the stages of the draft, which were timed apart, take over their chain: what is
        measured are chains, and what is simulated are stages. `cycles` of as many batches as run at once tell what is served at
        best; so many `launches` begin at random; batches by themselves go on for `alone_s`."""
        self._driven = driven
        self._draft = draft
        self._apart = apart
        self._cycles = cycles
        self._launches = launches
        self._alone_s = alone_s
        self._crowds: list[_Crowd] = []
        self._usual: dict[_Crowd, _Turn] = {}

    def add(self, lane: int, size: int, most: int) -> None:
        """A crowd to measure; those of a lane and size come with rising `most`."""
        policy = Normal(FillOrWait(size, 0, most))
        round_ns = self._driven.queued(self._draft, policy, size, self._cycles * most, most, lane).round_ns
        number = max(1, self._launches // min(_LONGEST, _SERIES * most))
        gap_ns = round_ns / most / _OFFERED
        series = tuple(
            tuple(random_arrivals_ns(self._launches // number, gap_ns, seed=most * number + index))
            for index in range(number)
        )
        self._crowds.append(_Crowd(lane, size, most, series))

    def take_turn(self) -> None:
        """Measures each of them once more, but for those that last."""
        again = bool(self._usual)
        for crowd in self._crowds:
            if not again or sum(arrivals_ns[-1] for arrivals_ns in crowd.arrivals_ns) < _LONG_NS:
                turn = self._beside_each_other(crowd)
                self._usual[crowd] = min(turn, self._usual.get(crowd, turn), key=lambda of: of.queueing_ns)

    def slowdowns(self, costs: Costs) -> list[dict[int, Curve]]:
        """By lane and size, the slowdown by how many run at once, where launches cost so much."""
        gap_ns = self._gap_ns()
        points: list[dict[int, list[tuple[float, float]]]] = [{} for _ in self._draft.lanes]
        for crowd in self._crowds:
            fewer = points[crowd.lane].setdefault(crowd.size, [])
            fewer.append((crowd.most, self._slowdown(crowd, costs, gap_ns, fewer)))
        return [{size: Curve(tuple(of_size)) for size, of_size in of_lane.items()} for of_lane in points]

    def _beside_each_other(self, crowd: _Crowd) -> _Turn:
        policy = Normal(FillOrWait(crowd.size, 0, crowd.most))
        alone_ns = [self._alone_ns(crowd)]
        found = []
        for arrivals_ns in crowd.arrivals_ns:
            found.append(self._driven.crowded(self._draft, policy, crowd.size, arrivals_ns, crowd.lane))
            alone_ns.append(self._alone_ns(crowd))
        beside_others_ns = np.concatenate([each.beside_others_ns for each in found])
        queueing_ns = np.concatenate([each.queueing_ns for each in found])
        return _Turn(
            usual_ns(beside_others_ns if beside_others_ns.size else queueing_ns),
            usual_ns(np.concatenate([each.response_ns for each in found])),
            tuple(alone_ns),
        )

    def _alone_ns(self, crowd: _Crowd) -> float:
        return self._driven.alone_ns(crowd.size, self._alone_s, self._stages_ns(crowd.lane, crowd.size), crowd.lane)

    def _stages_ns(self, lane: int, size: int) -> int:
        return self._draft.span_ns(0, self._draft.stages - 1, size, lane)

    def _gap_ns(self) -> float:
        """By how much longer batches take that follow each other by themselves, now that several streams have been at work,
        than while the draft was measured.

        It is about the same for all sizes (some 40 us for BERT-base of 1 to 32 rows of 32 to 128 tokens on an H200, from the
        first chain on a third track onwards; why is not known) and no part of what they take of the device: only without it do
        simulated runs agree with real ones. The smallest size tells, which lowers no clock.
        """
        least = min(self._usual, key=lambda crowd: (crowd.size, crowd.lane))
        lane, size = least.lane, least.size
        turns = [turn for crowd, turn in self._usual.items() if (crowd.lane, crowd.size) == (lane, size)]
        alone_ns = min(ns for turn in turns for ns in turn.alone_ns)
        return max(0.0, alone_ns - self._stages_ns(lane, size) / self._apart[lane][size])

    def _slowdown(self, crowd: _Crowd, costs: Costs, gap_ns: float, fewer: list[tuple[float, float]]) -> float:
        turn, apart = self._usual[crowd], self._apart[crowd.lane][crowd.size]
        # What a slow host adds is no slowdown of launches by each other.
        there = costs.at_pace(costs.pace_of(turn.queueing_ns, crowd.size) or 1.0)
        around_ns = [(before_ns + after_ns) / 2 for before_ns, after_ns in pairwise(turn.alone_ns)]
        series = [
            Series(
                arrivals_ns,
                Alike(
                    round(apart * max(alone_ns - gap_ns, alone_ns / 2)),
                    there.busy_ns(0, crowd.size),
                    there.transfer_ns(0, crowd.size),
                    there.wake_ns,
                    there.host_ns(0, crowd.size) - there.busy_ns(0, crowd.size),
                ),
            )
            for arrivals_ns, alone_ns in zip(crowd.arrivals_ns, around_ns, strict=True)
        ]
        return slowdown_at_once(turn.response_ns, series, crowd.most, fewer)
