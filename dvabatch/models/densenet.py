"""Blocks whose layers see all layers before them (Huang et al., "Densely Connected Convolutional Networks", 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from dvabatch.models.builder import ZERO_SUM_VARIANCE, GraphBuilder
from dvabatch.models.pictures import COLOURS, picture_size

_BOTTLENECK = 4  # the 1x1 gives four times the channels that a layer adds


@dataclass(frozen=True, slots=True)
class DenseNet:
    """Layers of each block, channels that a layer adds (the first block starts with twice that), classes."""

    name: str
    layers: tuple[int, ...]
    growth: int
    classes: int

    def __call__(self, input_shape: Sequence[int], seed: int) -> onnx.ModelProto:
        """The network for rows of `input_shape` (3, height, width).

        It takes "input" (N, 3, height, width) and gives "logits" (N, classes), both float32.
        """
        # The stem quarters the picture, rounding up; each transition halves it, rounding down.
        picture_size(self.name, input_shape, smallest=4 * 2 ** (len(self.layers) - 1) - 3)
        g = GraphBuilder(self.name, seed=seed, variance=ZERO_SUM_VARIANCE)
        x, channels = g.input("input", input_shape), 2 * self.growth
        x = g.conv(x, "conv0", (COLOURS, channels), kernel=7, stride=2)
        x = g.relu(g.batch_norm(x, "norm0", channels), "relu0")
        x = g.max_pool(x, "pool0", kernel=3, stride=2)
        for block, count in enumerate(self.layers, start=1):
            if block > 1:
                x, channels = _transition(g, x, f"transition{block - 1}", channels), channels // 2
            for layer in range(1, count + 1):
                name = f"block{block}.{layer}"
                # Joined as they come: what has been computed is then one tensor at any cut between layers.
                x = g.concat([x, _layer(g, x, name, channels, self.growth)], f"{name}.concat")
                channels += self.growth
        x = g.relu(g.batch_norm(x, "norm5", channels), "relu5")
        x = g.global_average_pool(x, "avgpool")
        x = g.linear(x, "classifier", (channels, self.classes))
        g.output(x, "logits", (self.classes,))
        return g.model()


def _layer(g: GraphBuilder, x: str, name: str, channels: int, growth: int) -> str:
    """Normalisation and ReLU come before each convolution: a 1x1, then the 3x3 that gives the new channels."""
    inner = _BOTTLENECK * growth
    x = g.relu(g.batch_norm(x, f"{name}.norm1", channels), f"{name}.relu1")
    x = g.conv(x, f"{name}.conv1", (channels, inner), kernel=1)
    x = g.relu(g.batch_norm(x, f"{name}.norm2", inner), f"{name}.relu2")
    return g.conv(x, f"{name}.conv2", (inner, growth), kernel=3)


def _transition(g: GraphBuilder, x: str, name: str, channels: int) -> str:
    """Half the channels, half the height and width."""
    x = g.relu(g.batch_norm(x, f"{name}.norm", channels), f"{name}.relu")
    x = g.conv(x, f"{name}.conv", (channels, channels // 2), kernel=1)
    return g.average_pool(x, f"{name}.pool", kernel=2, stride=2, valid=True)
