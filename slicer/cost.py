"""What the parts of a model cost by their shapes alone: it places candidates, and settles what timing cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import onnx

from slicer.frontier import Cut, Frontier
from slicer.graph import Graph, Node
from slicer.probe import Tensor

SEGMENTS_PER_STAGE = 6
MIN_SEGMENTS = 24
# Of one core. Their ratios are what counts, not their values: they were chosen so that the segments of a convolutional
# network, a text detector and a transformer get about the shares of the whole that they are measured at.
_FLOP_NS = 1 / 40
_BYTE_NS = 1 / 8
# What engines compute together with the operator before it, and as a kernel of its own behind a cut.
_ACTIVATIONS = frozenset(
    {
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Clip",
        "Elu",
        "Selu",
        "Celu",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Tanh",
        "Softplus",
    }
)
# Times for each row: weights are read once a batch, so less than once a row; but from main memory, where most of the
# rest is still in a cache.
_WEIGHTS_READ = 0.75


def estimate_ns(graph: Graph, tensors: Mapping[str, Tensor], node: Node) -> float:
    """A rough time for one row, from shapes alone, so that the same file always has the same candidates."""
    written = [tensors[name] for name in node.writes if name in tensors]
    moved = sum(float(tensor.bytes_per_row) for tensor in written)
    moved += sum(tensors[name].bytes_per_row for name in node.reads if name in tensors)
    if node.op != "Gather":  # which looks up a few rows of its table
        moved += _WEIGHTS_READ * sum(_bytes(graph, name) for name in node.reads if name in graph.constants)
    return _flops(graph, tensors, node) * _FLOP_NS + moved * _BYTE_NS


def estimates_ns(graph: Graph, tensors: Mapping[str, Tensor], cuts: Sequence[Cut]) -> list[float]:
    """A rough time for one row of each segment between neighbouring `cuts`."""
    nodes = [estimate_ns(graph, tensors, node) for node in graph.data_nodes]
    return [sum(nodes[begin.position : end.position]) for begin, end in pairwise(cuts)]


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


def _bytes(graph: Graph, name: str) -> int:
    constant = graph.constants[name]
    itemsize = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(constant.data_type)).itemsize
    return int(np.prod(constant.dims, dtype=np.int64)) * itemsize


def _parts_activation(graph: Graph, found: Frontier, position: int) -> bool:
    """Whether the next node but completes what the one before it computed, and the cut behind it carries no more."""
    node, made = graph.data_nodes[position], graph.data_nodes[position - 1].writes
    return (
        node.op in _ACTIVATIONS
        and node.reads[:1] == made[:1]
        and position + 1 in found.legal
        and found.cuts[position + 1].alive_bytes_per_row <= found.cuts[position].alive_bytes_per_row
    )


def candidates(graph: Graph, tensors: Mapping[str, Tensor], found: Frontier, stages: int) -> tuple[int, ...]:
    """Legal positions worth timing: the one with the fewest bytes in each bucket of equal estimated time.

    None lies between an operator and its activation, where the position behind it is as good. Enough of them for `stages`,
    where the model has that many legal cuts.
    """
    ends = np.cumsum([estimate_ns(graph, tensors, node) for node in graph.data_nodes])
    total = float(ends[-1]) or 1.0
    buckets = max(MIN_SEGMENTS, SEGMENTS_PER_STAGE * stages)
    best: dict[int, tuple[int, float, int]] = {}
    for position in found.legal:
        if _parts_activation(graph, found, position):
            continue
        at = float(ends[position - 1]) / total * buckets
        bucket = min(int(at), buckets - 1)
        # Fewest bytes; then nearest to the middle of the bucket, which spaces the candidates out.
        rank = (found.cuts[position].alive_bytes_per_row, abs(at - bucket - 0.5), position)
        best[bucket] = min(best.get(bucket, rank), rank)
    taken = {rank[2] for rank in best.values()}
    rest = sorted(set(found.legal) - taken, key=lambda place: (found.cuts[place].alive_bytes_per_row, place))
    taken.update(rest[: max(0, stages - 1 - len(taken))])
    return tuple(sorted(taken))
