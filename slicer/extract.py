"""A stage as a model of its own: walked backward from what it must write, stopped at what is carried into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from slicer.errors import SliceError
from slicer.frontier import Cut
from slicer.graph import Graph, Node
from slicer.probe import Tensor
from slicer.signature import value_info


@dataclass(frozen=True, slots=True)
class Piece:
    """A stage before it is a file: the model, and its tensors' names in a stable order."""

    model: onnx.ModelProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: int
    parameters: int


def extract(graph: Graph, tensors: Mapping[str, Tensor], begin: Cut, end: Cut) -> Piece:
    """The nodes between two cuts, with the shape arithmetic they need, under the model's own tensor names."""
    inside = graph.data_nodes[begin.position : end.position]
    born = {name for node in inside for name in node.writes}
    answers = set(graph.outputs)
    outputs = tuple(name for node in inside for name in node.writes if name in end.carried or name in answers)
    wanted: dict[int, Node] = {node.index: node for node in inside}
    constants: dict[str, onnx.TensorProto] = {}
    inputs: set[str] = set()
    stack = [name for node in inside for name in _sources(node, begin)]
    seen: set[str] = set()
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in graph.constants:
            constants[name] = graph.constants[name]
        elif name in begin.carried:
            inputs.add(name)
        elif name in graph.shape_only:
            node = graph.writer[name]
            wanted[node.index] = node
            stack.extend(_sources(node, begin))
        elif name not in born:
            raise SliceError(f"the cut at {begin.position} does not carry {name!r}: this is a defect of the slicer")
    ordered_inputs = tuple(name for name in tensors if name in inputs)
    model = onnx.ModelProto(ir_version=graph.model.ir_version, producer_name="slicer")
    model.opset_import.extend(graph.model.opset_import)
    model.functions.extend(graph.model.functions)
    model.graph.name = f"{graph.model.graph.name or 'model'}[{begin.position}:{end.position}]"
    for index in sorted(wanted):
        model.graph.node.append(_with_stand_ins(wanted[index], begin))
    model.graph.initializer.extend(constants[name] for name in sorted(constants))
    for field, names in ((model.graph.input, ordered_inputs), (model.graph.output, outputs)):
        field.extend(value_info(name, tensors[name].dtype, tensors[name].dims) for name in names)
    parameters = sum(_size(tensor) for tensor in constants.values())
    return Piece(model, ordered_inputs, outputs, len(wanted), parameters)


def _sources(node: Node, begin: Cut) -> tuple[str, ...]:
    if node.measures:
        return tuple(begin.stand_ins.get(name, name) for name in node.reads)
    return node.reads


def _with_stand_ins(node: Node, begin: Cut) -> onnx.NodeProto:
    if not node.measures or not any(name in begin.stand_ins for name in node.reads):
        return node.proto
    copy = onnx.NodeProto()
    copy.CopyFrom(node.proto)
    copy.input[0] = begin.stand_ins[copy.input[0]]
    return copy


def _size(tensor: onnx.TensorProto) -> int:
    size = 1
    for dim in tensor.dims:
        size *= dim
    return size
