"""A network in fp16 on the CPU: each weight and each node's result is rounded, sums stay fp32."""

import onnx
from onnx import TensorProto, helper, numpy_helper


def in_halves(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` whose float inputs, weights and results all have fp16 values."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    floats = {
        value.name
        for value in [*inferred.input, *inferred.value_info, *inferred.output]
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for weight in copy.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            weight.raw_data = numpy_helper.to_array(weight).astype("<f2").astype("<f4").tobytes()
    nodes = list(model.graph.node)
    del copy.graph.node[:]
    renamed = {}
    for entry in model.graph.input:
        if entry.name in floats:
            renamed[entry.name] = f"{entry.name}.rounded"
            _round(copy.graph, entry.name, renamed[entry.name])
    for node in nodes:
        added = copy.graph.node.add()
        added.CopyFrom(node)
        added.input[:] = [renamed.get(name, name) for name in node.input]
        (result,) = node.output
        if result in floats:
            added.output[0] = f"{result}.exact"
            _round(copy.graph, f"{result}.exact", result)
    return copy


def _round(graph: onnx.GraphProto, source: str, target: str) -> None:
    half = f"{target}.half"
    graph.node.append(helper.make_node("Cast", [source], [half], f"{target}.to_half", to=TensorProto.FLOAT16))
    graph.node.append(helper.make_node("Cast", [half], [target], f"{target}.to_float", to=TensorProto.FLOAT))
