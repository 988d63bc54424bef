"""Where the batch lies in every tensor, found by experiment.

Static inference loses the batch at the first Reshape whose target is computed. So rows run alone and together, and
a tensor carries the batch on axis 0 if that axis alone grows with the rows and the values are those of the rows
alone. The model runs in pieces of a few nodes, whose values are dropped once nobody reads them: the memory needed
is that of one piece, not that of every tensor of the model.
"""

from __future__ import annotations

import enum
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from slicer.errors import SliceError
from slicer.graph import Graph, Node
from slicer.samples import Array, Values, ceilings, free_sizes, rows
from slicer.sessions import RUNTIME_ERRORS, Session, first_line, node_in
from slicer.signature import BATCH, UNKNOWN, Input, free_dimensions, value_info

NODES_PER_PIECE = 24
TOGETHER = (0, 1, 0)  # rows of the batched run; an odd number of them, and none of two neighbours alike
# Their kernels are exact to a rounding of 1, the end of their range, and may be saturated far below it.
_BOUNDED = frozenset({"Sigmoid", "Softmax"})
_BOUNDED_RANGE = 1e-3
TOLERANCE = 1e-3  # of the largest value: batched kernels may add in another order, mixed rows differ by far more
_COUPLING = "DynamicQuantizeLinear"


class Kind(enum.Enum):
    """What a tensor does when rows are batched."""

    BATCH = "batch on axis 0"
    SHAPE = "depends on shapes alone"
    ELSEWHERE = "rows apart, but not one per step of axis 0"
    MIXED = "rows depend on each other"
    SIZED = "its size depends on the data"


_LOST = frozenset({Kind.MIXED, Kind.SIZED})


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as probed. `shape` is that of one row alone; `dims` names what varies, "?" where it has no name.

    `axis` is where the batch lies if that is not in front, and each row takes one step of it.
    """

    name: str
    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    dims: tuple[int | str, ...]
    axis: int | None = None

    @property
    def bytes_per_row(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Probe:
    """Every tensor of a model, and the nodes whose quantisation couples the rows of a batch a little.

    `answers_vary` is False where two requests got the very same answers, in numbers with fractions.
    """

    tensors: Mapping[str, Tensor]
    coupled_by: tuple[str, ...]
    answers_vary: bool


def probe(graph: Graph, inputs: tuple[Input, ...], *, threads: int, seed: int) -> Probe:
    """Run rows alone and together, and tell what each tensor is.

    Raises SliceError, naming the node, where the model fixes its batch (`mixing` says where its rows depend on each other).
    """
    tops = ceilings(graph)
    sizes = free_sizes(inputs, 0)
    runs = [rows(inputs, tops, picked, sizes, seed) for picked in ((0,), (1,), TOGETHER)]
    if free_dimensions(inputs):
        runs.append(rows(inputs, tops, (0,), free_sizes(inputs, 1), seed))
    coupled = _downstream(graph, _COUPLING)
    tensors = {name: _describe(graph, name, [run[name] for run in runs], inputs, loose=False) for name in graph.inputs}
    last_read = {name: node.index for node in graph.nodes for name in node.reads}
    answers = [name for name in graph.outputs if name in graph.writer]
    same: dict[str, bool] = {}
    start = 0
    while start < len(graph.nodes):
        piece = graph.nodes[start : start + NODES_PER_PIECE]
        _run_piece(graph, piece, runs, threads)
        done = 0
        for node in piece:
            of_node = {
                name: _describe(graph, name, [run[name] for run in runs], inputs, loose=name in coupled)
                for name in node.writes
            }
            if done and loses_rows(graph, node, ChainMap(of_node, tensors)):
                break  # it, or the roundings of the nodes before it: it is run again on rows that have none
            tensors.update(of_node)
            done += 1
        for name in answers:
            if name in runs[0] and name in tensors:
                first, second = runs[0][name], runs[1][name]
                same[name] = first.dtype.kind == "f" and np.array_equal(first, second)
        for name in [name for node in piece[done:] for name in node.writes]:
            for run in runs:
                del run[name]
        _forget(runs, last_read, piece[done - 1].index)
        alone, other, together = runs[:3]
        for name in [name for node in piece[:done] for name in node.writes if name in together]:
            if tensors[name].kind is Kind.BATCH and name not in coupled:
                together[name] = np.concatenate((alone[name], other[name], alone[name]))
        start += done
    coupled_by = tuple(node.name for node in graph.nodes if node.op == _COUPLING)
    return Probe(tensors, coupled_by, not all(same.get(name, False) for name in answers))


def _forget(runs: list[Values], last_read: Mapping[str, int], index: int) -> None:
    """Drop what no node after `index` reads."""
    for run in runs:
        for name in [name for name in run if last_read.get(name, -1) <= index]:
            del run[name]


def loses_rows(graph: Graph, node: Node, tensors: Mapping[str, Tensor]) -> bool:
    """True if `node` writes rows that mix, of tensors whose rows do not."""
    mixes = any(tensors[name].kind in _LOST for name in node.writes if name not in graph.shape_only)
    return mixes and all(name in graph.constants or tensors[name].kind not in _LOST for name in node.reads)


def _run_piece(graph: Graph, piece: Sequence[Node], runs: list[Values], threads: int) -> None:
    written = {name for node in piece for name in node.writes}
    reads = dict.fromkeys(name for node in piece for name in node.reads)
    fed = [name for name in reads if name not in written and name not in graph.constants]
    first = runs[0]
    model = onnx.ModelProto(ir_version=graph.model.ir_version)
    model.opset_import.extend(graph.model.opset_import)
    model.functions.extend(graph.model.functions)
    model.graph.name = "piece"
    model.graph.node.extend(node.proto for node in piece)
    model.graph.initializer.extend(graph.constants[name] for name in reads if name in graph.constants)
    model.graph.input.extend(value_info(name, str(first[name].dtype), (UNKNOWN,) * first[name].ndim) for name in fed)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(written))
    session = Session(model.SerializeToString(), threads=threads, optimise=False, weights=graph.weights)
    for number, run in enumerate(runs):
        try:
            found = session.run({name: run[name] for name in fed})
        except RUNTIME_ERRORS as error:
            raise _refusal(graph, error, number) from error
        for name, value in found.items():
            if not isinstance(value, np.ndarray):
                raise SliceError(
                    f"tensor {name!r} is no array but {type(value).__name__}: such models cannot be sliced"
                )
        run.update(found)


def _refusal(graph: Graph, error: Exception, number: int) -> SliceError:
    name = node_in(error)
    node = next((str(node) for node in graph.nodes if node.name == name), "a node")
    if number == 2:
        return SliceError(
            f"{node} takes one row but not {len(TOGETHER)} at once, wanted a free batch on axis 0: "
            f"export the model with a dynamic batch ({first_line(error)})"
        )
    return SliceError(
        f"{node} fails on a sample request, wanted sizes that the model takes: "
        f"give those of its free dimensions by --shapes, or export it with a dynamic batch ({first_line(error)})"
    )


def _describe(graph: Graph, name: str, values: list[Array], inputs: tuple[Input, ...], *, loose: bool) -> Tensor:
    alone, other, together = values[:3]
    axis = None
    if name in graph.shape_only:
        kind = Kind.SHAPE
    else:
        writer = graph.writer.get(name)
        range_ = _BOUNDED_RANGE if writer is not None and writer.op in _BOUNDED else 0.0
        kind, axis = _kind(alone, other, together, range_, loose=loose)
    dims: list[int | str] = list(alone.shape)
    if len(values) > 3:
        dims = _dims(alone.shape, values[3].shape, inputs)
    if kind is Kind.BATCH:
        dims[0] = BATCH
    return Tensor(name, kind, str(alone.dtype), alone.shape, tuple(dims), axis)


def _kind(alone: Array, other: Array, together: Array, range_: float, *, loose: bool) -> tuple[Kind, int | None]:
    """The kind, and the axis of a batch that is not in front. `range_` is the least magnitude to compare against."""
    parts = (alone, other, alone)
    if alone.shape != other.shape:
        return Kind.SIZED, None
    if together.ndim != alone.ndim:
        return Kind.MIXED, None
    grown = [axis for axis in range(alone.ndim) if together.shape[axis] != alone.shape[axis]]
    if len(grown) != 1 or together.shape[grown[0]] != alone.shape[grown[0]] * len(parts):
        # A request that cannot change a tensor cannot pass through it to its neighbours either.
        same = not grown and _alike(alone, other) and _alike(alone, together)
        return (Kind.ELSEWHERE if same else Kind.MIXED), None
    axis = grown[0]
    if not loose and not _alike(np.concatenate(parts, axis), together, range_):
        return Kind.MIXED, None
    if alone.shape[axis] != 1:
        return Kind.ELSEWHERE, None
    return (Kind.BATCH, None) if axis == 0 else (Kind.ELSEWHERE, axis)


def _alike(wanted: Array, found: Array, range_: float = 0.0) -> bool:
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(wanted, found))
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(found)):
        return False
    scale = float(np.max(np.abs(wanted), where=finite, initial=0.0))
    bound = TOLERANCE * max(scale, range_)
    # Infinities of attention masks are equal or not; NaN equals NaN here, verification refuses it where it is an answer.
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.all((np.abs(wanted - found) <= bound) | ~finite))


def _dims(first: tuple[int, ...], second: tuple[int, ...], inputs: tuple[Input, ...]) -> list[int | str]:
    if len(first) != len(second):
        return [UNKNOWN] * len(first)
    names = {(size, free_sizes(inputs, 1)[name]): name for name, size in free_sizes(inputs, 0).items()}
    return [a if a == b else names.get((a, b), UNKNOWN) for a, b in zip(first, second, strict=True)]


def _downstream(graph: Graph, operator: str) -> frozenset[str]:
    found: set[str] = set()
    for node in graph.nodes:
        if node.op == operator or any(name in found for name in node.reads):
            found.update(node.writes)
    return frozenset(found)
