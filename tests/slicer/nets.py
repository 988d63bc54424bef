"""Small networks for the slicer's tests, each with one property that matters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Dim = int | str


class Net:
    """A graph under construction; every operator's only output is named after its node."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, *dims: Dim, element: int = TensorProto.FLOAT) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, element, list(dims)))
        return name

    def constant(self, name: str, value: object) -> str:
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def conv(self, name: str, data: str, channels: tuple[int, int], stride: int = 1) -> str:
        into, out = channels
        weights = self._random.standard_normal((out, into, 3, 3)) / np.sqrt(9 * into)
        self.constant(f"{name}.w", weights.astype(np.float32))
        return self.op("Conv", name, data, f"{name}.w", pads=[1, 1, 1, 1], strides=[stride, stride])

    def dense(self, name: str, data: str, into: int, out: int) -> str:
        weights = self._random.standard_normal((into, out)) / np.sqrt(into)
        self.constant(f"{name}.w", weights.astype(np.float32))
        return self.op("MatMul", name, data, f"{name}.w")

    def model(self, *outputs: str, elements: Sequence[int] | None = None) -> onnx.ModelProto:
        kinds = elements or [TensorProto.FLOAT] * len(outputs)
        answers = [
            onnx.ValueInfoProto(name=name, type=helper.make_tensor_type_proto(kind, None))
            for name, kind in zip(outputs, kinds, strict=True)
        ]
        graph = helper.make_graph(self.nodes, "net", self._inputs, answers, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def write(self, path: Path, *outputs: str) -> Path:
        onnx.save(self.model(*outputs), path)
        return path


def chain(blocks: int = 4, batch: Dim = "batch") -> Net:
    """Convolutions in a row: "conv0", "relu0", ..., ending in `relu{blocks - 1}`."""
    net = Net()
    data = net.input("x", batch, 4, 8, 8)
    for index in range(blocks):
        data = net.op("Relu", f"relu{index}", net.conv(f"conv{index}", data, (4, 4)))
    return net


def skipping() -> Net:
    """A skip that crosses everything between the first block and the last, and an answer born early."""
    net = Net()
    first = net.op("Relu", "first", net.conv("conv_first", net.input("x", "batch", 4, 8, 8), (4, 4)))
    data = first
    for index in range(4):
        data = net.op("Relu", f"relu{index}", net.conv(f"conv{index}", data, (4, 4)))
        if index == 0:
            net.op("GlobalAveragePool", "early", data)
    net.op("Add", "late", data, first)
    return net


def attention(width: int = 16, heads: int = 2) -> Net:
    """Reshapes driven by Shape, with a free sequence axis; ends in "mixed_again"."""
    net = Net()
    ids = net.input("ids", "batch", "sequence", element=TensorProto.INT64)
    table = np.random.default_rng(1).standard_normal((50, width)).astype(np.float32)
    data = net.op("Gather", "embedded", net.constant("table", table), ids)
    net.op("Shape", "shape", ids)
    net.constant("tail", np.array([heads, width // heads], np.int64))
    net.op("Concat", "split_shape", "shape", "tail", axis=0)
    net.constant("width", np.array([width], np.int64))
    net.op("Concat", "merge_shape", "shape", "width", axis=0)
    for index in range(2):
        query = net.op("Reshape", f"split{index}", net.dense(f"query{index}", data, width, width), "split_shape")
        turned = net.op("Transpose", f"turned{index}", query, perm=[0, 2, 1, 3])
        keys = net.op("Transpose", f"keys{index}", query, perm=[0, 2, 3, 1])
        weights = net.op("Softmax", f"weights{index}", net.op("MatMul", f"scores{index}", turned, keys), axis=-1)
        seen = net.op("MatMul", f"seen{index}", weights, turned)
        back = net.op("Transpose", f"back{index}", seen, perm=[0, 2, 1, 3])
        merged = net.op("Reshape", f"merged{index}", back, "merge_shape")
        data = net.op("Add", f"sum{index}", merged, data)
    net.op("Tanh", "mixed_again", data)
    return net
