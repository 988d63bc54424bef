"""A small writer of ONNX graphs: each method appends one node and returns the name of its output."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

# onnx's own defaults are newer than ONNX Runtime and TensorRT 8.6 read.
IR_VERSION = 8
OPSET = 17

BATCH_AXIS = "N"


def zero_sum_variance(lift: float) -> float:
    """What the variance of ReLU's input is over that of its output, where the input is normal about `lift` deviations."""
    positive = 0.5 * (1.0 + math.erf(lift / math.sqrt(2.0)))
    density = math.exp(-0.5 * lift**2) / math.sqrt(2.0 * math.pi)
    mean = lift * positive + density
    return 1.0 / ((1.0 + lift**2) * positive + lift * density - mean**2)


# Variance of the weights of a filter, times their number, that keeps the variance of a signal through ReLU: He's for
# free weights, and more for filters that sum to zero, since they lose the mean of what ReLU leaves (Brock, De and
# Smith, see `_filters`). Beside shortcuts He's does; over dozens of layers in a row, as in Inception v3, the difference
# decides whether the input or the biases make the answer.
HE_VARIANCE = 2.0
ZERO_SUM_VARIANCE = zero_sum_variance(0.0)

# Mean of the biases before ReLU where no shortcut leads past it. About 0, each layer with zero-sum filters makes what
# tells two inputs apart 1.21 times as large beside the signal (the root of 1/2, the share of inputs that pass, times
# ZERO_SUM_VARIANCE), a rounding error like any other difference: over the 20 layers of U-Net fp16 then ends 3 % off,
# which no trained network does. With this lift most inputs pass and the factor is 1.04. More lift drowns the signal in
# what all inputs share. Cf. Poole et al., "Exponential expressivity in deep neural networks through transient chaos",
# 2016.
LIFT = 1.25
LIFTED_VARIANCE = zero_sum_variance(LIFT)

Attribute: TypeAlias = int | float | str | list[int] | onnx.TensorProto


class GraphBuilder:
    """Collects nodes and seeded random weights in a model.

    Weights are drawn in the order of the calls from one PCG64 stream, so the same calls with the same seed
    make the same bytes. They never depend on the input's height and width.
    """

    def __init__(self, name: str, *, seed: int, variance: float = HE_VARIANCE) -> None:
        self._variance = variance
        self._rng = np.random.Generator(np.random.PCG64(seed))
        # Filled in place: putting a graph into a model copies it, and VGG-19 has 0.6 GB.
        self._model = helper.make_model(
            onnx.GraphProto(name=name),
            producer_name="dvabatch",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        self._graph = self._model.graph

    def input(self, name: str, shape: Sequence[int | str], *, element: int = TensorProto.FLOAT) -> str:
        """Declare an input of `shape` rows, float32 unless `element` says else; the batch axis N comes in front.

        A size that is a name is a free axis.
        """
        self._graph.input.append(helper.make_tensor_value_info(name, element, [BATCH_AXIS, *shape]))
        return name

    def output(self, source: str, name: str, shape: Sequence[int]) -> None:
        """Declare `source`, the result of the last node, as the float32 output `name`."""
        last = self._graph.node[-1]
        if list(last.output) != [source]:
            raise ValueError(f"output {name!r} is to be {source!r}, but the last node makes {list(last.output)}")
        last.output[0] = name
        self._graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH_AXIS, *shape]))

    def conv(
        self,
        x: str,
        name: str,
        channels: tuple[int, int],
        *,
        kernel: int | tuple[int, int],
        stride: int = 1,
        valid: bool = False,
        bias: bool = False,
        lift: float = 0.0,
    ) -> str:
        """Convolution over `channels` = (in, out), `kernel` being (height, width) or the side of a square.

        It is padded so that stride 1 keeps the size, or not at all if `valid`. `lift` is the mean of the bias.
        """
        inside, outside = channels
        height, width = _pair(kernel)
        std = (self._variance / (inside * height * width)) ** 0.5
        inputs = [x, self._filters(f"{name}.weight", (outside, inside, height, width), std=std)]
        if bias:
            inputs.append(self.normal(f"{name}.bias", (outside,), std=0.1, mean=lift))
        pads = [0] * 4 if valid else [height // 2, width // 2] * 2
        return self.node("Conv", inputs, name, kernel_shape=[height, width], strides=[stride, stride], pads=pads)

    def conv_transpose(
        self, x: str, name: str, channels: tuple[int, int], *, kernel: int, bias: bool = False, lift: float = 0.0
    ) -> str:
        """Transposed convolution of stride 2 over `channels` = (in, out) that doubles height and width exactly.

        `kernel` is 2 or 3; the 3x3 crops one row and one column at the top left, which is what a padding of 1 with an
        output padding of 1 comes to. `lift` is the mean of the bias.
        """
        inside, outside = channels
        crop = kernel - 2
        # (kernel / stride) ** 2 pixels of each channel reach an output pixel.
        std = (4.0 * self._variance / (inside * kernel**2)) ** 0.5
        weight = self._filters(f"{name}.weight", (inside, outside, kernel, kernel), std=std, axis=0)
        inputs = [x, weight]
        if bias:
            inputs.append(self.normal(f"{name}.bias", (outside,), std=0.1, mean=lift))
        pads = [crop, crop, 0, 0]
        return self.node("ConvTranspose", inputs, name, kernel_shape=[kernel] * 2, strides=[2, 2], pads=pads)

    def batch_norm(
        self, x: str, name: str, channels: int, *, gain: float = 1.0, epsilon: float = 1e-5, lift: float = 0.0
    ) -> str:
        """Batch normalisation in its inference form; `gain` multiplies the scale, `lift` is the mean of the bias.

        The statistics are random but near 0 and 1: an identity would hide a stage that lost its normalisation.
        """
        return self.node(
            "BatchNormalization",
            [
                x,
                self.weight(f"{name}.weight", gain * self._rng.uniform(0.9, 1.1, channels)),
                self.normal(f"{name}.bias", (channels,), std=0.1 * gain, mean=lift),
                self.normal(f"{name}.running_mean", (channels,), std=0.1),
                self.weight(f"{name}.running_var", self._rng.uniform(0.9, 1.1, channels)),
            ],
            name,
            epsilon=epsilon,
        )

    def relu(self, x: str, name: str) -> str:
        return self.node("Relu", [x], name)

    def add(self, x: str, y: str, name: str) -> str:
        return self.node("Add", [x, y], name)

    def concat(self, parts: Sequence[str], name: str) -> str:
        """Side by side in the channels."""
        return self.node("Concat", list(parts), name, axis=1)

    def max_pool(self, x: str, name: str, *, kernel: int, stride: int, valid: bool = False) -> str:
        pads = [0 if valid else kernel // 2] * 4
        return self.node("MaxPool", [x], name, kernel_shape=[kernel, kernel], strides=[stride, stride], pads=pads)

    def average_pool(self, x: str, name: str, *, kernel: int, stride: int, valid: bool = False) -> str:
        """Means of squares; the padding's zeros count."""
        pads = [0 if valid else kernel // 2] * 4
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
        return self.node("AveragePool", [x], name, count_include_pad=1, **window)

    def global_average_pool(self, x: str, name: str) -> str:
        """Mean over height and width: (N, C, H, W) to (N, C)."""
        pooled = self.node("GlobalAveragePool", [x], name)
        return self.node("Flatten", [pooled], f"{name}.flatten", axis=1)

    def linear(
        self, x: str, name: str, features: tuple[int, int], *, after_relu: bool = False, lift: float = 0.0
    ) -> str:
        """Fully connected layer over `features` = (in, out), scaled for what it comes after; `lift` is the bias' mean."""
        inside, outside = features
        std = ((self._variance if after_relu else 1.0) / inside) ** 0.5
        weight = self._filters(f"{name}.weight", (outside, inside), std=std)
        bias = self.normal(f"{name}.bias", (outside,), std=0.1, mean=lift)
        return self.node("Gemm", [x, weight, bias], name, transB=1)

    def token_linear(self, x: str, name: str, features: tuple[int, int], *, gain: float = 1.0) -> str:
        """As `linear`, for each token of (N, S, in) by itself; `gain` multiplies weights and bias."""
        inside, outside = features
        weight = self._filters(f"{name}.weight", (inside, outside), std=gain * inside**-0.5, axis=0)
        bias = self.normal(f"{name}.bias", (outside,), std=0.1 * gain)
        return self.add(self.node("MatMul", [x, weight], f"{name}.matmul"), bias, name)

    def layer_norm(self, x: str, name: str, features: int, *, epsilon: float) -> str:
        """Normalisation over the last axis, with a scale and a bias."""
        scale = self.weight(f"{name}.weight", self._rng.uniform(0.9, 1.1, features))
        bias = self.normal(f"{name}.bias", (features,), std=0.1)
        return self.node("LayerNormalization", [x, scale, bias], name, axis=-1, epsilon=epsilon)

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """A number that the network's definition gives: no parameter, so no initializer."""
        return self.node("Constant", [], name, value=numpy_helper.from_array(values))

    def model(self) -> onnx.ModelProto:
        """The graph so far as a model, pinned to versions that every engine of ours reads."""
        return self._model

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        """Append a standard operator of one output, and return the output's name."""
        output = f"{name}.out"
        self._graph.node.append(helper.make_node(kind, inputs, [output], name, None, None, None, **attributes))
        return output

    def normal(
        self, name: str, shape: tuple[int, ...], *, std: float, mean: float = 0.0, keep: int | None = None
    ) -> str:
        """A parameter of normal values about `mean`; all of `shape` are drawn, and the first `keep` kept."""
        values = self._rng.standard_normal(shape, dtype=np.float32)[:keep]
        values *= np.float32(std)
        if mean:  # a sum with 0 would lose the sign of a -0
            values += np.float32(mean)
        return self.weight(name, values)

    def weight(self, name: str, values: npt.NDArray[np.floating]) -> str:
        """A parameter of these values, as float32."""
        raw = values.astype("<f4", copy=False).tobytes()
        self._graph.initializer.add(name=name, data_type=TensorProto.FLOAT, dims=values.shape, raw_data=raw)
        return name

    def _filters(self, name: str, shape: tuple[int, ...], *, std: float, axis: int | None = None) -> str:
        """Normal weights of which each filter sums to zero: along `axis`, or along all but the first.

        What ReLU leaves has a positive mean that is the same for every input; filters that see it let it grow with
        depth until all inputs give nearly the same answer (2 % apart in ResNet-152 at 224x224, 36 % with these).
        Cf. Brock, De and Smith, "Characterizing signal propagation ... in unnormalized ResNets", 2021.
        """
        values = self._rng.standard_normal(shape, dtype=np.float32)
        values *= np.float32(std)
        along = tuple(range(1, len(shape))) if axis is None else axis
        values -= values.mean(axis=along, keepdims=True)
        return self.weight(name, values)


def _pair(kernel: int | tuple[int, int]) -> tuple[int, int]:
    return (kernel, kernel) if isinstance(kernel, int) else kernel
