"""Residual networks of bottleneck blocks (He et al., "Deep Residual Learning for Image Recognition", 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from dvabatch.models.builder import GraphBuilder
from dvabatch.models.pictures import COLOURS, picture_size

_EXPANSION = 4  # a bottleneck gives four times the channels it computes in

# Random branches would each double the signal's variance; a fifth of one adds 4 to 8 %, so that 50 blocks stay finite.
# It sits in the last normalisation's scale: no node and no parameter that the standard network does not have.
_BRANCH_GAIN = 0.2


@dataclass(frozen=True, slots=True)
class ResNet:
    """What tells one residual network from another: blocks per group, channels of the first group, classes."""

    name: str
    blocks: tuple[int, ...]
    width: int
    classes: int

    def __call__(self, input_shape: Sequence[int], seed: int) -> onnx.ModelProto:
        """The network for rows of `input_shape` (3, height, width).

        It takes "input" (N, 3, height, width) and gives "logits" (N, classes), both float32.
        """
        picture_size(self.name, input_shape)
        g = GraphBuilder(self.name, seed=seed)
        x = g.input("input", input_shape)
        x = g.conv(x, "conv1", (COLOURS, self.width), kernel=7, stride=2)
        x = g.relu(g.batch_norm(x, "bn1", self.width), "relu1")
        x = g.max_pool(x, "maxpool", kernel=3, stride=2)
        channels = self.width
        for group, count in enumerate(self.blocks):
            inner = self.width * 2**group
            for index in range(count):
                stride = 2 if group > 0 and index == 0 else 1
                x = _bottleneck(g, x, f"layer{group + 1}.{index}", channels, inner, stride)
                channels = inner * _EXPANSION
        x = g.global_average_pool(x, "avgpool")
        x = g.linear(x, "fc", (channels, self.classes))
        g.output(x, "logits", (self.classes,))
        return g.model()


def _bottleneck(g: GraphBuilder, x: str, name: str, channels: int, inner: int, stride: int) -> str:
    """1x1 down, 3x3, 1x1 up, added to the shortcut; the 3x3 strides, as in the variant now called v1.5."""
    outer = inner * _EXPANSION
    y = g.conv(x, f"{name}.conv1", (channels, inner), kernel=1)
    y = g.relu(g.batch_norm(y, f"{name}.bn1", inner), f"{name}.relu1")
    y = g.conv(y, f"{name}.conv2", (inner, inner), kernel=3, stride=stride)
    y = g.relu(g.batch_norm(y, f"{name}.bn2", inner), f"{name}.relu2")
    y = g.conv(y, f"{name}.conv3", (inner, outer), kernel=1)
    y = g.batch_norm(y, f"{name}.bn3", outer, gain=_BRANCH_GAIN)
    if stride != 1 or channels != outer:
        x = g.conv(x, f"{name}.downsample.conv", (channels, outer), kernel=1, stride=stride)
        x = g.batch_norm(x, f"{name}.downsample.bn", outer)
    return g.relu(g.add(y, x, f"{name}.add"), f"{name}.relu3")
