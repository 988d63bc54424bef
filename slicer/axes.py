"""Batches that lie on another axis than the first, brought to the front.

Stages hand on whole rows, one after the other in memory, so every tensor between them has its batch in front. A model
that takes or gives another order (a recurrent state of [layers, batch, width], say) gets a Transpose there: inside it
nothing changes, outside a request is a row like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx

from slicer.errors import SliceError
from slicer.graph import reads_of, subgraphs
from slicer.signature import UNKNOWN

INSIDE = "/as_exported"  # added to the name of a tensor in its own order


def input_axes(model: onnx.ModelProto, chosen: Mapping[str, int]) -> dict[str, int]:
    """The inputs of a normalised model whose batch is not in front, each with its axis.

    `chosen` overrules what the file tells: the dimension that bears the batch's name, or where axis 0 has a fixed size
    the only axis that is free or of size 1. A guess is safe, since probing refuses a wrong one.
    """
    values = {value.name: value for value in model.graph.input}
    for name, axis in chosen.items():
        known = {**values, **{value.name: value for value in model.graph.output}}
        if name not in known:
            listed = ", ".join(repr(each) for each in known)
            raise SliceError(f"batch_axes names {name!r}, the model has {listed}: name one of them")
        rank = len(values[name].type.tensor_type.shape.dim) if name in values else axis + 1
        if axis >= rank:
            raise SliceError(f"batch_axes gives {name!r} axis {axis}, its last axis is {rank - 1}")
    dims = {name: value.type.tensor_type.shape.dim for name, value in values.items()}
    symbols = {name: [_symbol(dim) for dim in shape] for name, shape in dims.items()}
    batch = _batch_symbol(symbols.values())
    rows_in_front = any(shape and shape[0].dim_value <= 1 for shape in dims.values())
    found: dict[str, int] = {}
    for name, shape in dims.items():
        if name in chosen:
            found[name] = chosen[name]
        elif batch is not None and batch in symbols[name]:
            found[name] = symbols[name].index(batch)
        elif shape and shape[0].dim_value > 1 and rows_in_front:
            open_axes = [axis for axis, dim in enumerate(shape) if dim.dim_value <= 1]
            if len(open_axes) == 1:
                found[name] = open_axes[0]
    return {name: axis for name, axis in found.items() if axis}


def batch_first(model: onnx.ModelProto, axes: Mapping[str, int], ranks: Mapping[str, int]) -> None:
    """Move the batch of the inputs and outputs that `axes` names from there to the front, in place.

    `ranks` gives the number of dimensions of each. Names stay those of the model; what the model itself computes with
    is called after them, with "/as_exported" added.
    """
    graph = model.graph
    taken = set(_names(graph))
    for name, axis in axes.items():
        inner, rank = name + INSIDE, ranks[name]
        if inner in taken:
            raise SliceError(f"the model has a tensor {inner!r} already: rename it")
        rest = [place for place in range(rank) if place != axis]
        value = next((value for value in graph.input if value.name == name), None)
        _rename(graph, name, inner)
        if value is not None:
            back = [0] * rank  # where each axis of `inner` now lies
            for place, old in enumerate([axis, *rest]):
                back[old] = place
            node = onnx.helper.make_node("Transpose", [name], [inner], name=f"{name}/batch_first", perm=back)
            shape = [onnx.TensorShapeProto.Dimension.FromString(dim.SerializeToString()) for dim in _dims(value)]
            del value.type.tensor_type.shape.dim[:]
            value.type.tensor_type.shape.dim.extend(shape[old] for old in [axis, *rest])
            graph.node.insert(0, node)
        else:
            node = onnx.helper.make_node("Transpose", [inner], [name], name=f"{name}/batch_first", perm=[axis, *rest])
            graph.node.append(node)


def turn_late(model: onnx.ModelProto, inputs: Iterable[str]) -> None:
    """Put what is computed from `inputs` alone right before it is needed, in place.

    A turned input has its batch inside, so no cut may carry it; the input itself may cross any.
    """
    graph = model.graph
    early = {tensor.name for tensor in graph.initializer} | set(inputs)
    if early.issuperset(value.name for value in graph.input):
        return  # all that is computed is: there is nothing to wait for
    waiting: dict[str, int] = {}  # where the nodes that write them stand
    ordered: list[onnx.NodeProto] = []
    for place, node in enumerate(graph.node):
        reads = reads_of(node)
        if reads and all(name in early for name in reads):
            early.update(node.output)
            waiting.update((name, place) for name in node.output if name)
        else:
            ordered.extend([*_release(graph, reads, waiting), node])
    ordered.extend(_release(graph, list(waiting), waiting))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _release(graph: onnx.GraphProto, names: Iterable[str], waiting: dict[str, int]) -> list[onnx.NodeProto]:
    """The nodes among those `waiting` that `names` are computed by, in their old order; they wait no longer."""
    stack = list(names)
    places: set[int] = set()
    while stack:
        place = waiting.get(stack.pop())
        if place is not None and place not in places:
            places.add(place)
            stack.extend(reads_of(graph.node[place]))
    for place in places:
        for written in graph.node[place].output:
            waiting.pop(written, None)
    return [graph.node[place] for place in sorted(places)]


def ranks_of(model: onnx.ModelProto) -> dict[str, int]:
    """The number of dimensions of each input."""
    return {value.name: len(_dims(value)) for value in model.graph.input}


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Every use of a tensor inside a graph, captures of subgraphs included; the graph's own signature stays."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
        for inner in subgraphs(node):
            own = {value.name for value in inner.input} | {tensor.name for tensor in inner.initializer}
            own |= {name for within in inner.node for name in within.output}
            if old not in own:
                _rename(inner, old, new)
                for value in inner.output:
                    if value.name == old:
                        value.name = new


def _names(graph: onnx.GraphProto) -> Iterable[str]:
    for entry in (*graph.input, *graph.output, *graph.initializer):
        yield entry.name
    for node in graph.node:
        yield from node.output
        for inner in subgraphs(node):
            yield from _names(inner)


def _batch_symbol(inputs: Iterable[list[str | None]]) -> str | None:
    """The name that every input with named dimensions has, and one has in front."""
    named = [symbols for symbols in inputs if any(symbols)]
    fronts = (symbols[0] for symbols in named)
    return next((front for front in fronts if front and all(front in symbols for symbols in named)), None)


def _symbol(dim: onnx.TensorShapeProto.Dimension) -> str | None:
    name = str(dim.dim_param)
    return name if name and name != UNKNOWN else None


def _dims(value: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(value.type.tensor_type.shape.dim)
