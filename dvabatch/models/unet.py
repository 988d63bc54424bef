"""Encoder and decoder with skips (Ronneberger, Fischer and Brox, "U-Net", 2015), padded so that sizes are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from dvabatch.models.builder import LIFT, LIFTED_VARIANCE, GraphBuilder
from dvabatch.models.pictures import COLOURS, picture_size


@dataclass(frozen=True, slots=True)
class UNet:
    """Channels at full resolution, how often they double while the picture halves, classes."""

    name: str
    width: int
    depth: int
    classes: int

    def __call__(self, input_shape: Sequence[int], seed: int) -> onnx.ModelProto:
        """The network for rows of `input_shape` (3, height, width).

        It takes "input" (N, 3, height, width) and gives "logits" (N, classes, height, width), both float32. As
        published it has biases and no normalisation.
        """
        height, width = picture_size(self.name, input_shape, multiple=2**self.depth)
        g = GraphBuilder(self.name, seed=seed, variance=LIFTED_VARIANCE)
        x, inside = g.input("input", input_shape), COLOURS
        skips = []
        for level in range(self.depth):
            outside = self.width * 2**level
            x = _twice(g, x, f"down{level + 1}", (inside, outside))
            skips.append(x)
            x = g.max_pool(x, f"pool{level + 1}", kernel=2, stride=2, valid=True)
            inside = outside
        x = _twice(g, x, "bottom", (inside, 2 * inside))
        for level in reversed(range(self.depth)):
            outside = self.width * 2**level
            # Lifted although no ReLU follows: filters over both parts of the join then lose the mean of both.
            x = g.conv_transpose(x, f"double{level + 1}", (2 * outside, outside), kernel=2, bias=True, lift=LIFT)
            x = g.concat([skips[level], x], f"join{level + 1}")
            x = _twice(g, x, f"up{level + 1}", (2 * outside, outside))
        x = g.conv(x, "classes", (self.width, self.classes), kernel=1, bias=True)
        g.output(x, "logits", (self.classes, height, width))
        return g.model()


def _twice(g: GraphBuilder, x: str, name: str, channels: tuple[int, int]) -> str:
    """Two 3x3 convolutions, of which the first goes from channels[0] to channels[1]."""
    outside = channels[1]
    x = g.relu(g.conv(x, f"{name}.conv1", channels, kernel=3, bias=True, lift=LIFT), f"{name}.relu1")
    return g.relu(g.conv(x, f"{name}.conv2", (outside, outside), kernel=3, bias=True, lift=LIFT), f"{name}.relu2")
