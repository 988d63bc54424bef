"""Which candidate cuts to take: pure dynamic programming over shares of the whole model's time.

The cost of a plan is its slowest stage, plus a little for uneven stages, for bytes carried, and for stages whose parts
favour different batch sizes. All are shares of the whole, so the choice does not depend on the speed of the machine.

Bytes count against the lightest cut nearby, not against the lightest of all: what marks the end of a block is that
its neighbours carry more, and a model's last tensors are small whatever is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log2
from typing import TypeAlias

import numpy as np

from slicer.errors import SliceError

GRID = 1e-3  # shares are rounded to it
NEAR_TIE = 0.15  # of a plan's cost: less is not told apart, however quiet the machine seems
EVEN_WEIGHT = 0.1  # of an even stage, for one that takes no time or twice as much; in between quadratically
NEARBY = 0.5  # of an even stage, to either side of a cut; from half of it on a lighter cut counts less and less
BLOCK_WEIGHT = 0.12  # of an even stage, for each doubling of bytes over a lighter cut nearby
BYTES_WEIGHT = 0.01  # of an even stage, for the heaviest cut of all: settles near-ties
SPREAD_WEIGHT = 0.01  # of an even stage, for each doubling between favoured batches inside a stage

# Costs and times are whole numbers of this unit: sums of floats would depend on their order, and ties with them.
_UNIT = 1e-9
_NEVER = 1 << 60
_Units: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Segment:
    """What lies between two neighbouring candidates: its share of the whole's time, and its favoured batch."""

    share: float
    favored_batch: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The cuts taken, as indices into the candidates; the slowest stage's share of the whole; what the plan costs."""

    cuts: tuple[int, ...]
    slowest: float
    cost: float


def settle(
    measured: Sequence[Segment], estimated: Sequence[float], cut_bytes: Sequence[int], stages: int, noise: float
) -> Plan:
    """The cheapest plan as measured, or the one that the estimate prefers where timing cannot tell them apart.

    Another day, timing gives slightly other shares, and of plans that cost nearly the same another is the cheapest.
    The estimate depends on the file alone. So the plan it prefers (light cuts and even stages, at the measured
    favours) is taken where its measured cost is near the best: within `NEAR_TIE` and, on top, the `noise` seen, which
    is a share of the whole.

    `estimated` are shares of the whole too. The plan returned is described as measured.
    """
    timed, guessed = (
        [
            Segment(round(share / GRID) * GRID, segment.favored_batch)
            for share, segment in zip(of, measured, strict=True)
        ]
        for of in ([segment.share for segment in measured], estimated)
    )
    # Which cuts are near each other is read from the estimate for both, so that bytes cost the same every day.
    ends = _ends(guessed)
    best = choose(timed, cut_bytes, stages, ends)
    cuts = choose(guessed, cut_bytes, stages, ends).cuts
    found = cost(timed, cut_bytes, cuts, ends)
    if found > best.cost * (1 + NEAR_TIE) + noise:
        return best
    return Plan(cuts, slowest(timed, cuts), found)


def choose(
    segments: Sequence[Segment], cut_bytes: Sequence[int], stages: int, ends: Sequence[float] | None = None
) -> Plan:
    """The cheapest plan of exactly `stages` stages; of equally cheap ones, that with the earliest cuts.

    `cut_bytes[i]` is carried between segments i and i + 1. `ends[i]` is the share of the whole before that cut, and
    tells which cuts are near each other; left out, the segments' own shares do. Equal input gives an equal plan.
    """
    if len(cut_bytes) != len(segments) - 1:
        raise SliceError(f"{len(cut_bytes)} cuts came with {len(segments)} segments, wanted one fewer")
    if not 1 <= stages <= len(segments):
        raise SliceError(f"{stages} stages were asked of {len(segments)} segments, wanted 1 to {len(segments)}")
    table = _Table(segments, cut_bytes, stages, _ends(segments) if ends is None else ends)
    least_slowest = table.least_slowest()
    best: Plan | None = None
    bound = _NEVER - 1
    # From the plan of least additive cost to ever faster slowest stages. The additive cost only grows on the way, so
    # once it and the fastest possible slowest stage cost more than the best plan, no later one can win.
    while (cuts := table.best_within(bound)) is not None:
        slowest, extra = table.slowest(cuts), table.extra_of(cuts)
        plan = Plan(cuts, _round(slowest * _UNIT), _round((slowest + extra) * _UNIT))
        if best is None or (plan.cost, plan.cuts) < (best.cost, best.cuts):
            best = plan
        if _round((least_slowest + extra) * _UNIT) > best.cost:
            break
        bound = slowest - 1
    assert best is not None  # the first bound admits every plan
    return best


def cost(
    segments: Sequence[Segment], cut_bytes: Sequence[int], cuts: Sequence[int], ends: Sequence[float] | None = None
) -> float:
    """What a plan costs; `cuts` are indices into `cut_bytes`, `ends` is as for `choose`."""
    table = _Table(segments, cut_bytes, len(cuts) + 1, _ends(segments) if ends is None else ends)
    return _round((table.slowest(cuts) + table.extra_of(cuts)) * _UNIT)


def slowest(segments: Sequence[Segment], cuts: Sequence[int]) -> float:
    """The share of a plan's slowest stage."""
    edges = [0, *(cut + 1 for cut in cuts), len(segments)]
    return max(sum(segment.share for segment in segments[begin:end]) for begin, end in pairwise(edges))


def _round(value: float) -> float:
    return round(value, 9)


class _Table:
    """Per stage [begin, end), in units: its time, and its additive cost (the cut before it included)."""

    def __init__(
        self, segments: Sequence[Segment], cut_bytes: Sequence[int], stages: int, ends: Sequence[float]
    ) -> None:
        self.count, self.stages = len(segments), stages
        even = sum(segment.share for segment in segments) / stages
        carried = [even * weight for weight in _byte_weights(ends, cut_bytes, NEARBY * even)]
        self.times: _Units = np.full((self.count, self.count + 1), _NEVER, np.int64)
        self.extra: _Units = np.full((self.count, self.count + 1), _NEVER, np.int64)
        doublings = [log2(segment.favored_batch) for segment in segments]
        for begin in range(self.count):
            time, low, high = 0.0, doublings[begin], doublings[begin]
            before = carried[begin - 1] if begin else 0.0
            for end in range(begin + 1, self.count + 1):
                time += segments[end - 1].share
                low, high = min(low, doublings[end - 1]), max(high, doublings[end - 1])
                uneven = EVEN_WEIGHT * (time - even) ** 2 / even if even else 0.0
                self.times[begin, end] = round(time / _UNIT)
                self.extra[begin, end] = round((before + uneven + SPREAD_WEIGHT * even * (high - low)) / _UNIT)

    def slowest(self, cuts: Sequence[int]) -> int:
        """The time of a plan's slowest stage."""
        return max(int(self.times[begin, end]) for begin, end in self._stages(cuts))

    def extra_of(self, cuts: Sequence[int]) -> int:
        """A plan's additive cost."""
        return sum(int(self.extra[begin, end]) for begin, end in self._stages(cuts))

    def least_slowest(self) -> int:
        """The time of the slowest stage where it is least."""
        rest = self.times[:, self.count]  # by where the rest of the model begins, with the present number of stages
        for _ in range(self.stages - 1):
            rest = np.maximum(self.times, np.append(rest, _NEVER)).min(axis=1)
        return int(rest[0])

    def best_within(self, bound: int) -> tuple[int, ...] | None:
        """The cuts of least additive cost, the earliest of them, among plans whose stages all take `bound` or less."""
        extra = np.where(self.times <= bound, self.extra, _NEVER)
        rests = [extra[:, self.count]]
        for _ in range(self.stages - 1):
            # Two that never are may be added: the sum stays below the type's limit, and is cut back.
            rests.append(np.minimum((extra + np.append(rests[-1], _NEVER)).min(axis=1), _NEVER))
        if rests[-1][0] >= _NEVER:
            return None
        cuts: list[int] = []
        begin = 0
        for rest in reversed(rests[:-1]):
            begin = int(np.argmin(extra[begin] + np.append(rest, _NEVER)))  # the first of equals
            cuts.append(begin - 1)
        return tuple(cuts)

    def _stages(self, cuts: Sequence[int]) -> list[tuple[int, int]]:
        return list(pairwise([0, *(cut + 1 for cut in cuts), self.count]))


def _ends(segments: Sequence[Segment]) -> list[float]:
    return list(accumulate(segment.share for segment in segments))[:-1]


def _byte_weights(ends: Sequence[float], cut_bytes: Sequence[int], nearby: float) -> list[float]:
    """What the bytes of each cut cost, as a share of an even stage."""
    heaviest = max(cut_bytes, default=0) or 1
    doublings = [log2(max(size, 1)) for size in cut_bytes]
    weights = []
    for end, size, own in zip(ends, cut_bytes, doublings, strict=True):
        # Lighter cuts fade with their distance: an edge would let a thousandth of time decide whether one counts.
        over = max(
            (own - other) * min(1.0, max(0.0, 2 - 2 * abs(place - end) / nearby if nearby else 1.0))
            for place, other in zip(ends, doublings, strict=True)
        )
        weights.append(BLOCK_WEIGHT * over + BYTES_WEIGHT * size / heaviest)
    return weights
