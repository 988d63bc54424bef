"""A model exported for exactly one row, made to take any number of them."""

from __future__ import annotations

import numpy as np
import onnx

from slicer.graph import Graph


def free_batch(model: onnx.ModelProto) -> int:
    """Let Reshape copy the batch where the exporter wrote 1, in place; answers how many targets changed.

    Only targets that are constant and start with 1, of data that depends on a request. Whatever else fixes the
    batch shows when the model is probed with several rows, and is refused there, by name.
    """
    graph = Graph(model)
    changed = 0
    for node in graph.nodes:
        if node.op != "Reshape" or node.proto.domain or len(node.proto.input) < 2:
            continue
        data, target = node.proto.input[0], node.proto.input[1]
        shape = _constant(graph, target)
        if data in graph.shape_only or shape is None or not shape.size or shape[0] != 1:
            continue
        if any(attribute.name == "allowzero" and attribute.i for attribute in node.proto.attribute):
            continue
        # A new constant: other nodes may share the old one.
        freed = shape.copy()
        freed[0] = 0  # "as in the input"
        name = f"{node.name}/{target}/free_batch"
        model.graph.initializer.append(onnx.numpy_helper.from_array(freed, name))
        node.proto.input[1] = name
        changed += 1
    return changed


def _constant(graph: Graph, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None:
    if name in graph.constants:
        return onnx.numpy_helper.to_array(graph.constants[name]).astype(np.int64)
    writer = graph.writer.get(name)
    if writer is not None and writer.op == "Constant":
        for attribute in writer.proto.attribute:
            if attribute.name == "value":
                return onnx.numpy_helper.to_array(attribute.t).astype(np.int64)
    return None
