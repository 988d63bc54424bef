"""A graph as the slicer reads it: nodes in order, what each reads and writes, and what depends on data at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

RANDOM_OPERATORS = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
_MEASURES = frozenset({"Shape", "Size"})


@dataclass(frozen=True, slots=True)
class Node:
    """One operator. `reads` includes what its subgraphs capture; empty (absent) names are left out."""

    index: int
    name: str
    op: str
    proto: onnx.NodeProto
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def measures(self) -> bool:
        """True if it looks at its input's shape only."""
        return self.op in _MEASURES and self.proto.domain in {"", "ai.onnx"}

    def __str__(self) -> str:
        return f"{self.op} node {self.name!r}"


class Graph:
    """An index over a normalised model (see `load.normalise`). Nodes that no output needs are left out."""

    def __init__(self, model: onnx.ModelProto, weights: Path | None = None) -> None:
        """`weights` is the folder of the files in which the model keeps weights, where it does."""
        self.model = model
        self.weights = weights
        graph = model.graph
        self.inputs = tuple(value.name for value in graph.input)
        self.outputs = tuple(value.name for value in graph.output)
        self.constants: dict[str, onnx.TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        every = [_node(index, proto) for index, proto in enumerate(graph.node)]
        writer = {name: node for node in every for name in node.writes}
        wanted: set[int] = set()
        stack = [name for name in self.outputs if name in writer]
        while stack:
            node = writer[stack.pop()]
            if node.index not in wanted:
                wanted.add(node.index)
                stack.extend(name for name in node.reads if name in writer)
        self.nodes = tuple(node for node in every if node.index in wanted)
        self.writer = {name: node for node in self.nodes for name in node.writes}
        self.shape_only = self._shape_only()
        self.data_nodes = tuple(node for node in self.nodes if not self._all_shape_only(node.writes))
        self._roots: dict[str, frozenset[str]] = {}

    def _shape_only(self) -> frozenset[str]:
        """Tensors that depend on requests through Shape and Size alone, or not at all: they can be recomputed."""
        known = set(self.constants)
        for node in self.nodes:
            random = node.op in RANDOM_OPERATORS
            if not random and (node.measures or all(name in known for name in node.reads)):
                known.update(node.writes)
        return frozenset(known)

    def _all_shape_only(self, names: Iterable[str]) -> bool:
        return all(name in self.shape_only for name in names)

    def measured(self, name: str) -> frozenset[str]:
        """The data tensors whose shape the shape-only tensor `name` is computed from."""
        # Iterative: chains of shape arithmetic can be longer than Python's recursion limit.
        stack = [name]
        while stack:
            current = stack[-1]
            if current in self._roots:
                stack.pop()
                continue
            node = self.writer.get(current)
            reads = [] if node is None else [read for read in node.reads if read in self.shape_only]
            missing = [read for read in reads if read not in self._roots]
            if missing:
                stack.extend(missing)
                continue
            direct = () if node is None else (read for read in node.reads if read not in self.shape_only)
            self._roots[current] = frozenset(direct).union(*(self._roots[read] for read in reads))
            stack.pop()
        return self._roots[name]


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds directly, such as the branches of an If."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def reads_of(node: onnx.NodeProto) -> tuple[str, ...]:
    """What a node reads from the graph around it, captures of its subgraphs included, each name once."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        names.extend(_captures(graph))
    return tuple(dict.fromkeys(names))


def _captures(graph: onnx.GraphProto) -> list[str]:
    inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    found: list[str] = []
    for node in graph.node:
        found.extend(name for name in reads_of(node) if name not in inside)
        inside.update(node.output)
    # A branch may hand out a tensor of the graph around it unchanged.
    found.extend(value.name for value in graph.output if value.name not in inside)
    return found


def _node(index: int, proto: onnx.NodeProto) -> Node:
    writes = tuple(name for name in proto.output if name)
    return Node(index, proto.name, proto.op_type, proto, reads_of(proto), writes)
