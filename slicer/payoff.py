"""What a number of stages is worth to a query: favoured batches gained, against the price of being cut.

The measure is the time from a query's arrival to its answer on a device that runs one launch at a time, first come first
served, with `waiting` queries ahead: everything that the device does meanwhile. A stage at `rows` rows a launch takes
latency(rows) / rows for each of them, and works

    on those ahead, on the query itself, and on half of the others in its group: waiting + (group + 1) / 2 rows

where `group` is the largest batch that the query has yet to be part of, in this stage or a later one. So a stage that
favours small batches behind one that favours large ones lets its queries leave early, and a stage before it gains
nothing from small batches: its query waits for the others anyway.

A plan costs the sum of its stages, each at the batch that makes it cheapest; the whole model is the plan of one stage.
`waiting` is in every plan what the whole model favours: as many wait as it takes at once. Stages that favour alike
then cost what the whole costs, however many they are, and every cut has its price: each launch behind it takes what
another run of a session was measured to take, `boundary_ms` for the host, and the time of the bytes carried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from slicer.choose import Plan
from slicer.favor import favored_batches
from slicer.tax import Tax

MOST_STAGES = 8
MARGIN = 0.01  # of the whole model's cost: what each further stage must save at least; timing does not tell less


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan, the batch at which each of its stages is cheapest, and milliseconds from arrival to answer."""

    plan: Plan
    batches: tuple[int, ...]
    cost_ms: float

    @property
    def stages(self) -> int:
        return len(self.batches)


def offers(
    segments_ms: Sequence[Mapping[int, float]],
    cut_bytes: Sequence[int],
    tax: Tax,
    boundary_ms: float,
    plan_of: Callable[[int], Plan],
) -> list[Offer]:
    """What 1, 2 ... stages cost, up to `MOST_STAGES` and the number of segments; `plan_of` says where they are cut.

    `segments_ms` are milliseconds by batch size, without the tax (see `relieve`). `boundary_ms` is what the host takes
    from a stage's end to the next launch.
    """
    whole_ms = _stages_ms(segments_ms, cut_bytes, (), tax, boundary_ms)
    (waiting,) = favored_batches(whole_ms, [1.0])
    found = []
    for stages in range(1, min(MOST_STAGES, len(segments_ms)) + 1):
        plan = plan_of(stages)
        total_ms, batches = cheapest(_stages_ms(segments_ms, cut_bytes, plan.cuts, tax, boundary_ms), waiting)
        found.append(Offer(plan, batches, total_ms))
    return found


def best_of(found: Sequence[Offer]) -> Offer:
    """The offer that costs least, where each further stage saves `MARGIN` of the whole model's cost at least."""
    margin_ms = MARGIN * found[0].cost_ms
    return min(found, key=lambda offer: (offer.cost_ms + margin_ms * offer.stages, offer.stages))


def said(found: Sequence[Offer], best: Offer) -> str:
    """The offers and the choice in a line."""
    costs = ", ".join(f"{offer.stages}: {offer.cost_ms / found[0].cost_ms - 1:+.1%}" for offer in found[1:])
    batches = ", ".join(map(str, best.batches))
    return (
        f"a query of a full queue takes {found[0].cost_ms:.3g} ms in one stage ({costs}): chose {best.stages}, "
        f"cheapest at batch {batches}"
    )


def cheapest(stages_ms: Sequence[Mapping[int, float]], waiting: int) -> tuple[float, tuple[int, ...]]:
    """The least cost of stages with these latencies by batch size, and the batch of each; of equals, the smaller ones."""
    # By the group of the stages behind: what they cost, and their batches. From the last stage to the first.
    rests: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for latency_ms in reversed(stages_ms):
        ways: dict[int, tuple[float, tuple[int, ...]]] = {}
        for behind, (rest_ms, batches) in rests.items():
            for rows, ms in latency_ms.items():
                group = max(rows, behind)
                way = (rest_ms + ms / rows * (waiting + (group + 1) / 2), (rows, *batches))
                ways[group] = min(ways.get(group, way), way)
        rests = ways
    return min(rests.values())


def _stages_ms(
    segments_ms: Sequence[Mapping[int, float]],
    cut_bytes: Sequence[int],
    cuts: Sequence[int],
    tax: Tax,
    boundary_ms: float,
) -> list[dict[int, float]]:
    """A stage takes what its segments take, a run, and behind a cut what that costs."""
    edges = [0, *(cut + 1 for cut in cuts), len(segments_ms)]
    crossing = [0, *(cut_bytes[cut] for cut in cuts)]
    return [
        {
            size: sum(segment[size] for segment in segments_ms[begin:end])
            + tax.run_ms
            + (boundary_ms if begin else 0.0)
            + tax.byte_ms * carried * size
            for size in segments_ms[0]
        }
        for (begin, end), carried in zip(pairwise(edges), crossing, strict=True)
    ]
