"""Pictures as they come: bytes, of which a network makes numbers itself, so that a quarter of the memory travels."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dvabatch.models.errors import ModelError

_MIDDLE = 127.5
_SPREAD = 73.9  # standard deviation of bytes that are all as likely: what follows sees a spread of 1, as of floats


def take_bytes(model: onnx.ModelProto) -> None:
    """Makes the one float input of `model` uint8, in place: (x - 127.5) / 73.9 is computed inside, as (x - mean) / std is for
    real pictures.

    Raises ModelError for a model that does not take one input of floats.
    """
    graph = model.graph
    types = [entry.type.tensor_type.elem_type for entry in graph.input]
    if types != [TensorProto.FLOAT]:
        raise ModelError(
            f"{graph.name} takes {len(types)} inputs of types {[TensorProto.DataType.Name(each) for each in types]}: "
            "uint8 serves networks with one input of pictures"
        )
    name = graph.input[0].name
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    for node in graph.node:
        node.input[:] = [f"{name}.scaled" if each == name else each for each in node.input]
    constants = {f"{name}.middle": _MIDDLE, f"{name}.spread": _SPREAD}
    graph.initializer.extend(numpy_helper.from_array(np.float32(value), key) for key, value in constants.items())
    steps = [
        helper.make_node("Cast", [name], [f"{name}.floats"], f"{name}.cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"{name}.floats", f"{name}.middle"], [f"{name}.centred"], f"{name}.centre"),
        helper.make_node("Div", [f"{name}.centred", f"{name}.spread"], [f"{name}.scaled"], f"{name}.scale"),
    ]
    nodes = [*steps, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
