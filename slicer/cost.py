"""What the parts of a model cost: estimated from shapes to place candidates, then measured to choose among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from slicer.extract import Piece, extract
from slicer.frontier import Cut, Frontier
from slicer.graph import Graph, Node
from slicer.probe import Tensor
from slicer.samples import Values
from slicer.sessions import Session

SEGMENTS_PER_STAGE = 6
MIN_SEGMENTS = 24
PASSES = 2  # over all segments: what disturbs the machine for a second then seldom decides which segment is slow
REPEATS = 3
SEGMENT_S = 0.05  # a size whose runs took longer than this in all is not measured again in this pass
STAGE_S = 0.5
_FLOP_NS = 1 / 40  # of one core: its ratio to bytes is what places candidates, not its value
_BYTE_NS = 1 / 8


def estimate_ns(graph: Graph, tensors: Mapping[str, Tensor], node: Node) -> float:
    """A rough time for one row, from shapes alone, so that the same file always has the same candidates."""
    written = [tensors[name] for name in node.writes if name in tensors]
    moved = sum(tensor.bytes_per_row for tensor in written)
    moved += sum(tensors[name].bytes_per_row for name in node.reads if name in tensors)
    return _flops(graph, tensors, node) * _FLOP_NS + moved * _BYTE_NS


def _flops(graph: Graph, tensors: Mapping[str, Tensor], node: Node) -> float:
    if not node.writes or len(node.proto.input) < 2:
        return 0.0
    made = float(np.prod(tensors[node.writes[0]].shape, dtype=np.float64))
    first, second = (_shape(graph, tensors, name) for name in node.proto.input[:2])
    if node.op == "Conv":
        return 2 * made * float(np.prod(second[1:], dtype=np.float64))
    if node.op == "ConvTranspose":
        return 2 * float(np.prod(first, dtype=np.float64)) * float(np.prod(second[1:], dtype=np.float64))
    if node.op in {"MatMul", "Gemm"} and first:
        return 2 * made * first[-1]
    return 0.0


def _shape(graph: Graph, tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    if name in graph.constants:
        return tuple(graph.constants[name].dims)
    return tensors[name].shape if name in tensors else ()


def candidates(graph: Graph, tensors: Mapping[str, Tensor], found: Frontier, stages: int) -> tuple[int, ...]:
    """Legal positions worth timing: the one with the fewest bytes in each bucket of equal estimated time.

    Enough of them for `stages`, where the model has that many legal cuts.
    """
    ends = np.cumsum([estimate_ns(graph, tensors, node) for node in graph.data_nodes])
    total = float(ends[-1]) or 1.0
    buckets = max(MIN_SEGMENTS, SEGMENTS_PER_STAGE * stages)
    best: dict[int, tuple[int, float, int]] = {}
    for position in found.legal:
        at = float(ends[position - 1]) / total * buckets
        bucket = min(int(at), buckets - 1)
        # Fewest bytes; then nearest to the middle of the bucket, which spaces the candidates out.
        rank = (found.cuts[position].alive_bytes_per_row, abs(at - bucket - 0.5), position)
        best[bucket] = min(best.get(bucket, rank), rank)
    taken = {rank[2] for rank in best.values()}
    rest = sorted(set(found.legal) - taken, key=lambda place: (found.cuts[place].alive_bytes_per_row, place))
    taken.update(rest[: max(0, stages - 1 - len(taken))])
    return tuple(sorted(taken))


def batch_sizes(largest: int) -> tuple[int, ...]:
    """1, 2, 4 ... and `largest` itself."""
    powers = (2**exponent for exponent in range(largest.bit_length()))
    return tuple(sorted({*powers, largest}))


def time_segments(
    graph: Graph,
    tensors: Mapping[str, Tensor],
    cuts: Sequence[Cut],
    row: Values,
    sizes: Sequence[int],
    threads: int,
    progress: Callable[[str], None],
) -> list[dict[int, float]]:
    """Milliseconds by batch size of each segment between neighbouring `cuts`, run as a session of its own.

    The segments run in order on one real row, which each hands to the next, so a segment meets realistic values and
    only one session is open at a time. The best of all passes counts. What a segment pays for being one, and would
    not as part of a stage, is taken off (see `unburden`).
    """
    best = [dict.fromkeys(sizes, float("inf")) for _ in cuts[1:]]
    whole_ms, middle = float("inf"), sizes[len(sizes) // 2]
    for number in range(PASSES):
        values = dict(row)
        for place, (begin, end) in enumerate(pairwise(cuts)):
            piece = extract(graph, tensors, begin, end)
            session = Session(piece.model.SerializeToString(), threads=threads)
            for size, latency_ms in time_piece(session, piece, values, sizes, SEGMENT_S).items():
                best[place][size] = min(best[place][size], latency_ms)
            values.update(session.run({name: values[name] for name in piece.inputs}))
            values = {name: value for name, value in values.items() if name in end.carried}
        del session
        piece = extract(graph, tensors, cuts[0], cuts[-1])
        session = Session(piece.model.SerializeToString(), threads=threads)
        whole_ms = min(whole_ms, time_piece(session, piece, row, [middle], SEGMENT_S)[middle])
        del session
        progress(f"timed {len(best)} segments, pass {number + 1} of {PASSES}")
    return unburden(best, [cut.alive_bytes_per_row for cut in cuts[1:-1]], middle, whole_ms)


def unburden(
    latencies_ms: Sequence[Mapping[int, float]], cut_bytes: Sequence[int], size: int, whole_ms: float
) -> list[dict[int, float]]:
    """Segment times without what being cut costs them.

    A runtime brings tensors into its own layout when a session begins and back when it ends, so segments with large
    tensors at their ends look slower than they are inside a stage. What all segments take over the whole model at
    batch `size` is shared out by the bytes at their ends; a segment keeps half its time at least.
    """
    borders = [a + b for a, b in pairwise([0, *cut_bytes, 0])]
    excess_ms = max(0.0, sum(latency[size] for latency in latencies_ms) - whole_ms)
    per_byte = excess_ms / size / max(sum(borders), 1)
    return [
        {batch: max(ms - per_byte * border * batch, ms / 2) for batch, ms in latency.items()}
        for latency, border in zip(latencies_ms, borders, strict=True)
    ]


def time_piece(session: Session, piece: Piece, row: Values, sizes: Sequence[int], enough_s: float) -> dict[int, float]:
    """The best of a few runs at each batch size, in milliseconds: what other processes add is never negative."""
    found: dict[int, float] = {}
    for size in sorted(sizes, reverse=True):
        feeds = {name: np.repeat(row[name], size, axis=0) for name in piece.inputs}
        if not found:
            session.run(feeds)  # the first run allocates, and most for the largest batch
        best, spent = float("inf"), 0.0
        for _ in range(REPEATS):
            began = time.perf_counter()
            session.run(feeds)
            took = time.perf_counter() - began
            best, spent = min(best, took), spent + took
            if spent > enough_s:
                break
        found[size] = best * 1e3
    return dict(sorted(found.items()))
