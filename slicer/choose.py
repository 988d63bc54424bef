"""Which candidate cuts to take: pure dynamic programming over shares of the whole model's time.

The cost of a plan is its slowest stage, plus a little for uneven stages, for bytes carried, and for stages whose parts
favour different batch sizes. All are shares of the whole, so the choice does not depend on the speed of the machine.

Bytes count against the lightest cut nearby, not against the lightest of all: what marks the end of a block is that
its neighbours carry more, and a model's last tensors are small whatever is cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log2

from slicer.errors import SliceError

FAVOURED = 0.95  # of the best throughput: the smallest batch that reaches it is favoured
GRID = 1e-3  # measured shares are rounded to it, so that timing noise seldom changes a plan
EVEN_WEIGHT = 0.1  # of an even stage, for one that takes no time or twice as much; in between quadratically
NEARBY = 0.5  # of an even stage, to either side of a cut
BLOCK_WEIGHT = 0.12  # of an even stage, for each doubling of bytes over the lightest cut nearby
BYTES_WEIGHT = 0.01  # of an even stage, for the heaviest cut of all: settles near-ties
SPREAD_WEIGHT = 0.01  # of an even stage, for each doubling between favoured batches inside a stage


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


def favored_batch(latency_ms: Mapping[int, float]) -> int:
    """The smallest batch whose throughput reaches 95 % of the best.

    Each throughput is first replaced by the median of itself and its neighbours, since one lucky measurement would
    otherwise decide; ties go to the smaller batch.
    """
    sizes = sorted(latency_ms)
    if not sizes:
        raise SliceError("no latency was measured, wanted at least one batch size")
    rates = [size / max(latency_ms[size], 1e-9) for size in sizes]
    padded = [rates[0], *rates, rates[-1]]
    smooth = [sorted(padded[index : index + 3])[1] for index in range(len(rates))]
    best = max(smooth)
    return next(size for size, rate in zip(sizes, smooth, strict=True) if rate >= FAVOURED * best)


def shares(latencies_ms: Sequence[Mapping[int, float]]) -> list[float]:
    """Each segment's share of the whole's time, averaged over the batch sizes and rounded to the grid."""
    sizes = sorted(latencies_ms[0])
    totals = {size: sum(latency[size] for latency in latencies_ms) for size in sizes}
    means = [sum(latency[size] / totals[size] for size in sizes) / len(sizes) for latency in latencies_ms]
    return [round(mean / GRID) * GRID for mean in means]


def choose(segments: Sequence[Segment], cut_bytes: Sequence[int], stages: int) -> Plan:
    """The cheapest plan of exactly `stages` stages.

    `cut_bytes[i]` is carried between segments i and i + 1. Equal input gives an equal plan.
    """
    if len(cut_bytes) != len(segments) - 1:
        raise SliceError(f"{len(cut_bytes)} cuts came with {len(segments)} segments, wanted one fewer")
    if not 1 <= stages <= len(segments):
        raise SliceError(f"{stages} stages were asked of {len(segments)} segments, wanted 1 to {len(segments)}")
    table = _Table(segments, cut_bytes, stages)
    best: Plan | None = None
    # The slowest stage is one of these. For each bound the rest of the cost is a sum, which a table over
    # (stages, end) minimises; once the bound alone costs as much as the best plan, no later one can win.
    for bound in sorted({time for row in table.times for time in row.values()}):
        if best is not None and bound >= best.cost:
            break
        plan = table.best_within(bound)
        if plan is not None and (best is None or (plan.cost, plan.cuts) < (best.cost, best.cuts)):
            best = plan
    assert best is not None  # the largest bound admits every plan
    return best


def cost(segments: Sequence[Segment], cut_bytes: Sequence[int], cuts: Sequence[int]) -> float:
    """What a plan costs; `cuts` are indices into `cut_bytes`."""
    table = _Table(segments, cut_bytes, len(cuts) + 1)
    edges = [0, *(cut + 1 for cut in cuts), len(segments)]
    pairs = list(pairwise(edges))
    total = 0
    for begin, end in pairs:
        total += table.extra[begin][end]
    return _round(max(table.times[begin][end] for begin, end in pairs) + total * _UNIT)


# Costs are added as whole numbers of this unit: sums of floats would depend on their order, and ties with them.
_UNIT = 1e-9


def _round(value: float) -> float:
    return round(value, 9)


class _Table:
    """Per stage [begin, end): its time, and its additive cost in units (the cut before it included)."""

    def __init__(self, segments: Sequence[Segment], cut_bytes: Sequence[int], stages: int) -> None:
        self.count, self.stages = len(segments), stages
        even = sum(segment.share for segment in segments) / stages
        carried = [even * weight for weight in _byte_weights(segments, cut_bytes, NEARBY * even)]
        self.times: list[dict[int, float]] = []
        self.extra: list[dict[int, int]] = []
        for begin in range(self.count):
            time, low, high = 0.0, segments[begin].favored_batch, segments[begin].favored_batch
            before = carried[begin - 1] if begin else 0.0
            times: dict[int, float] = {}
            extra: dict[int, int] = {}
            for end in range(begin + 1, self.count + 1):
                segment = segments[end - 1]
                time += segment.share
                low, high = min(low, segment.favored_batch), max(high, segment.favored_batch)
                times[end] = _round(time)
                uneven = EVEN_WEIGHT * (time - even) ** 2 / even if even else 0.0
                extra[end] = round((before + uneven + SPREAD_WEIGHT * even * log2(high / low)) / _UNIT)
            self.times.append(times)
            self.extra.append(extra)

    def best_within(self, bound: float) -> Plan | None:
        """The plan of least additive cost among those whose stages all take `bound` or less."""
        # reach[end] = (cost so far, cuts so far) with the present number of stages ending at `end`
        reach: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
        for _ in range(self.stages):
            longer: dict[int, tuple[int, tuple[int, ...]]] = {}
            for begin, (so_far, cuts) in reach.items():
                if begin == self.count:
                    continue
                for end, time in self.times[begin].items():
                    if time > bound:
                        break  # shares are not negative: a longer stage takes longer
                    grown = (so_far + self.extra[begin][end], (*cuts, end - 1) if end < self.count else cuts)
                    if end not in longer or grown < longer[end]:
                        longer[end] = grown
            reach = longer
        if self.count not in reach:
            return None
        extra, cuts = reach[self.count]
        edges = [0, *(cut + 1 for cut in cuts), self.count]
        slowest = max(self.times[begin][end] for begin, end in pairwise(edges))
        return Plan(cuts, slowest, _round(slowest + extra * _UNIT))


def _byte_weights(segments: Sequence[Segment], cut_bytes: Sequence[int], nearby: float) -> list[float]:
    """What the bytes of each cut cost, as a share of an even stage."""
    ends = list(accumulate(segment.share for segment in segments))[:-1]
    heaviest = max(cut_bytes, default=0) or 1
    weights = []
    for end, size in zip(ends, cut_bytes, strict=True):
        lightest = min(
            other for place, other in zip(ends, cut_bytes, strict=True) if abs(place - end) <= nearby + GRID / 2
        )
        doublings = log2(max(size, 1) / max(lightest, 1))
        weights.append(BLOCK_WEIGHT * doublings + BYTES_WEIGHT * size / heaviest)
    return weights
