"""Plain stacks of 3x3 convolutions (Simonyan and Zisserman, "Very Deep Convolutional Networks ...", 2014)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from dvabatch.models.builder import LIFT, LIFTED_VARIANCE, GraphBuilder
from dvabatch.models.pictures import COLOURS, picture_size

_GRID = 7  # side of what the classifier sees


@dataclass(frozen=True, slots=True)
class Vgg:
    """Convolutions and channels of each group, each followed by a halving; width of the two hidden layers; classes."""

    name: str
    convolutions: tuple[int, ...]
    channels: tuple[int, ...]
    hidden: int
    classes: int

    def __post_init__(self) -> None:
        if len(self.convolutions) != len(self.channels):
            raise ValueError(
                f"{self.name} has {len(self.convolutions)} groups and {len(self.channels)} widths: give one of each"
            )

    def __call__(self, input_shape: Sequence[int], seed: int) -> onnx.ModelProto:
        """The network for rows of `input_shape` (3, height, width).

        It takes "input" (N, 3, height, width) and gives "logits" (N, classes), both float32. Dropout has no node: it
        passes everything on when a network serves.
        """
        groups = len(self.channels)
        height, width = picture_size(self.name, input_shape, smallest=2**groups)
        g = GraphBuilder(self.name, seed=seed, variance=LIFTED_VARIANCE)
        x, inside = g.input("input", input_shape), COLOURS
        for group, (count, outside) in enumerate(zip(self.convolutions, self.channels, strict=True), start=1):
            for index in range(1, count + 1):
                name = f"conv{group}_{index}"
                x = g.conv(x, name, (inside, outside), kernel=3, bias=True, lift=LIFT)
                x = g.relu(x, f"relu{group}_{index}")
                inside = outside
            x = g.max_pool(x, f"pool{group}", kernel=2, stride=2, valid=True)
        x = _adapted(g, x, height >> groups, width >> groups)
        x = g.node("Flatten", [x], "flatten", axis=1)
        x = g.relu(g.linear(x, "fc6", (inside * _GRID**2, self.hidden), after_relu=True, lift=LIFT), "relu6")
        x = g.relu(g.linear(x, "fc7", (self.hidden, self.hidden), after_relu=True, lift=LIFT), "relu7")
        x = g.linear(x, "fc8", (self.hidden, self.classes), after_relu=True)
        g.output(x, "logits", (self.classes,))
        return g.model()


def _adapted(g: GraphBuilder, x: str, height: int, width: int) -> str:
    """The means of a 7x7 grid, so that the classifier is the published one at any size of picture.

    At the published 224x224 the map is that grid, and nothing is added.
    """
    if height != _GRID:
        x = g.node("MatMul", [g.constant("grid.rows", _means(height)), x], "grid.down")
    if width != _GRID:
        x = g.node("MatMul", [x, g.constant("grid.columns", _means(width).T)], "grid.across")
    return x


def _means(size: int) -> npt.NDArray[np.float32]:
    """A matrix (7, size) whose row i is the mean from floor(i * size / 7) up to ceil((i + 1) * size / 7)."""
    matrix = np.zeros((_GRID, size), np.float32)
    for index in range(_GRID):
        begin, end = index * size // _GRID, -(-(index + 1) * size // _GRID)
        matrix[index, begin:end] = 1.0 / (end - begin)
    return matrix
