"""The segments between candidate cuts, measured: each as a session of its own, without what being cut costs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from slicer.cost import estimates_ns
from slicer.extract import extract
from slicer.frontier import Cut
from slicer.graph import Graph
from slicer.probe import Tensor
from slicer.samples import Values
from slicer.sessions import Session
from slicer.tax import Tax, relieve, tax_of
from slicer.timing import Clock, Link, batch_sizes, time_chain

MAX_BATCH = 8  # enough to see a segment's favour; the stages themselves are timed up to the batch asked for
LEAST_RUNS = 3
BUDGET_S = 4.0
WHOLE_S = 1.0
MOST_EXCESS = 0.1  # of the whole: what all segments were seen to take over it on a quiet machine; more is noise
ROUND_S = 2.0  # one run at each size, by the estimate: a model that takes longer has its largest sizes left out


@dataclass(frozen=True, slots=True)
class SegmentTimes:
    """Milliseconds by batch size of each segment, and the noise seen, as a share of the whole (see `Runs.noise`).

    `latencies_ms` is for comparing segments: what being cut costs is taken out by bytes. `untaxed_ms` is for weighing a
    cut: `tax` is taken out, which says what a cut costs.
    """

    latencies_ms: Sequence[Mapping[int, float]]
    noise: float
    untaxed_ms: Sequence[Mapping[int, float]]
    tax: Tax


def segment_sizes(largest: int, row_s: float) -> tuple[int, ...]:
    """The batch sizes to time segments at: up to `largest`, fewer where a row takes long, and two where there are.

    `row_s` is estimated, so the same file is always timed at the same sizes.
    """
    sizes = batch_sizes(min(largest, MAX_BATCH))
    return tuple(size for place, size in enumerate(sizes) if place < 2 or sum(sizes[: place + 1]) * row_s <= ROUND_S)


def time_segments(
    graph: Graph,
    tensors: Mapping[str, Tensor],
    cuts: Sequence[Cut],
    row: Values,
    largest: int,
    threads: int,
    progress: Callable[[str], None],
    now_s: Clock = time.perf_counter,
) -> SegmentTimes:
    """Time the segments between neighbouring `cuts` in a chain, then the whole model, which they should add up to.

    The sessions of all segments are open at once: they hold the weights that the model holds.
    """
    row_s = sum(estimates_ns(graph, tensors, cuts)) / threads / 1e9
    sizes = segment_sizes(largest, row_s)
    links = [_link(graph, tensors, begin, end, threads) for begin, end in pairwise(cuts)]
    runs = time_chain(links, row, sizes, BUDGET_S, least_runs=LEAST_RUNS, now_s=now_s)
    del links
    middle = sizes[len(sizes) // 2]
    at = sorted({1, middle})
    whole = time_chain(
        [_link(graph, tensors, cuts[0], cuts[-1], threads)],
        row,
        at,
        WHOLE_S * len(at),
        least_runs=LEAST_RUNS,
        now_s=now_s,
    )
    noise = runs.noise()
    progress(
        f"timed {len(cuts) - 1} segments at batch {', '.join(map(str, sizes))}, "
        f"{min(map(len, runs.seconds.values()))} to {max(map(len, runs.seconds.values()))} runs each, noise {noise:.1%}"
    )
    # Whole runs on both sides: a burst that spoils one run of the model spoils one run of the chain as well.
    chain_ms, whole_ms = ({size: of.total_ms(size) for size in at} for of in (runs, whole))
    excess_ms = min(chain_ms[middle] - whole_ms[middle], MOST_EXCESS * whole_ms[middle])
    carried = [cut.alive_bytes_per_row for cut in cuts[1:-1]]
    best_ms, tax = runs.best_ms(), tax_of(chain_ms, whole_ms, carried)
    return SegmentTimes(unburden(best_ms, carried, middle, excess_ms), noise, relieve(best_ms, carried, tax), tax)


def _link(graph: Graph, tensors: Mapping[str, Tensor], begin: Cut, end: Cut, threads: int) -> Link:
    piece = extract(graph, tensors, begin, end)
    return Link(
        Session(piece.model.SerializeToString(), threads=threads, weights=graph.weights), piece.inputs, end.carried
    )


def unburden(
    latencies_ms: Sequence[Mapping[int, float]], cut_bytes: Sequence[int], size: int, excess_ms: float
) -> list[dict[int, float]]:
    """Segment times without what being cut costs them.

    A runtime brings tensors into its own layout when a session begins and back when it ends, so segments with large
    tensors at their ends look slower than they are inside a stage. What all segments take over the whole model at
    batch `size` is shared out by the bytes at their ends; a segment keeps half its time at least.
    """
    by_bytes = Tax(run_ms=0.0, byte_ms=max(0.0, excess_ms) / size / max(sum(cut_bytes), 1))
    return relieve(latencies_ms, cut_bytes, by_bytes)
