"""A small writer of ONNX graphs: each method appends one node and returns the name of its output."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

# onnx's own defaults are newer than ONNX Runtime and TensorRT 8.6 read.
IR_VERSION = 8
OPSET = 17

BATCH_AXIS = "N"


class GraphBuilder:
    """Collects nodes and seeded random weights, and gives them out as a model.

    Weights are drawn in the order of the calls from one PCG64 stream, so the same calls with the same seed
    make the same bytes. They never depend on the input's height and width.
    """

    def __init__(self, name: str, *, seed: int) -> None:
        self._name = name
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 input of `shape` rows; the batch axis N comes in front."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH_AXIS, *shape]))
        return name

    def output(self, source: str, name: str, shape: Sequence[int]) -> None:
        """Declare `source`, the result of the last node, as the float32 output `name`."""
        last = self._nodes[-1]
        if list(last.output) != [source]:
            raise ValueError(f"output {name!r} is to be {source!r}, but the last node makes {list(last.output)}")
        last.output[0] = name
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH_AXIS, *shape]))

    def conv(self, x: str, name: str, channels: tuple[int, int], *, kernel: int, stride: int = 1) -> str:
        """Square convolution without bias over `channels` = (in, out), padded so that stride 1 keeps the size."""
        inside, outside = channels
        fan_in = inside * kernel * kernel
        weight = self._filters(f"{name}.weight", (outside, inside, kernel, kernel), std=(2.0 / fan_in) ** 0.5)  # He
        return self._node(
            "Conv",
            [x, weight],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
        )

    def batch_norm(self, x: str, name: str, channels: int, *, gain: float = 1.0) -> str:
        """Batch normalisation in its inference form; `gain` multiplies the scale.

        The statistics are random but near 0 and 1: an identity would hide a stage that lost its normalisation.
        """
        return self._node(
            "BatchNormalization",
            [
                x,
                self._weight(f"{name}.weight", gain * self._rng.uniform(0.9, 1.1, channels)),
                self._normal(f"{name}.bias", (channels,), std=0.1 * gain),
                self._normal(f"{name}.running_mean", (channels,), std=0.1),
                self._weight(f"{name}.running_var", self._rng.uniform(0.9, 1.1, channels)),
            ],
            name,
            epsilon=1e-5,
        )

    def relu(self, x: str, name: str) -> str:
        return self._node("Relu", [x], name)

    def add(self, x: str, y: str, name: str) -> str:
        return self._node("Add", [x, y], name)

    def max_pool(self, x: str, name: str, *, kernel: int, stride: int) -> str:
        pads = [kernel // 2] * 4
        return self._node("MaxPool", [x], name, kernel_shape=[kernel, kernel], strides=[stride, stride], pads=pads)

    def global_average_pool(self, x: str, name: str) -> str:
        """Mean over height and width: (N, C, H, W) to (N, C)."""
        pooled = self._node("GlobalAveragePool", [x], name)
        return self._node("Flatten", [pooled], f"{name}.flatten", axis=1)

    def linear(self, x: str, name: str, features: tuple[int, int]) -> str:
        """Fully connected layer with bias over `features` = (in, out)."""
        inside, outside = features
        weight = self._filters(f"{name}.weight", (outside, inside), std=inside**-0.5)
        bias = self._normal(f"{name}.bias", (outside,), std=0.1)
        return self._node("Gemm", [x, weight, bias], name, transB=1)

    def model(self) -> onnx.ModelProto:
        """The graph so far as a model, pinned to versions that every engine of ours reads."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._weights)
        return helper.make_model(
            graph,
            producer_name="dvabatch",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )

    def _node(self, kind: str, inputs: list[str], name: str, **attributes: float | list[int]) -> str:
        output = f"{name}.out"
        self._nodes.append(helper.make_node(kind, inputs, [output], name, None, None, None, **attributes))
        return output

    def _filters(self, name: str, shape: tuple[int, ...], *, std: float) -> str:
        """Normal weights of which each filter (first axis) sums to zero.

        What ReLU leaves has a positive mean that is the same for every input; filters that see it let it grow with
        depth until all inputs give nearly the same answer (2 % apart in ResNet-152 at 224x224, 36 % with these).
        Cf. Brock, De and Smith, "Characterizing signal propagation ... in unnormalized ResNets", 2021.
        """
        values = self._rng.standard_normal(shape, dtype=np.float32)
        values *= np.float32(std)
        values -= values.mean(axis=tuple(range(1, len(shape))), keepdims=True)
        return self._weight(name, values)

    def _normal(self, name: str, shape: tuple[int, ...], *, std: float) -> str:
        values = self._rng.standard_normal(shape, dtype=np.float32)
        values *= np.float32(std)
        return self._weight(name, values)

    def _weight(self, name: str, values: npt.NDArray[np.floating]) -> str:
        self._weights.append(numpy_helper.from_array(values.astype(np.float32, copy=False), name))
        return name
