"""A residual encoder whose groups are added to a thin decoder (Chaurasia and Culurciello, "LinkNet", 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from dvabatch.models.builder import LIFT, LIFTED_VARIANCE, GraphBuilder
from dvabatch.models.pictures import COLOURS, picture_size

_GROUPS = 4
# As in resnet.py: a fifth of a random branch keeps the sum near the size of the shortcut.
_BRANCH_GAIN = 0.2


@dataclass(frozen=True, slots=True)
class LinkNet:
    """Basic blocks of each of the encoder's four groups, channels of its first group, classes."""

    name: str
    blocks: tuple[int, int, int, int]
    width: int
    classes: int

    def __call__(self, input_shape: Sequence[int], seed: int) -> onnx.ModelProto:
        """The network for rows of `input_shape` (3, height, width).

        It takes "input" (N, 3, height, width) and gives "logits" (N, classes, height, width), both float32.
        """
        height, width = picture_size(self.name, input_shape, multiple=32)
        g = GraphBuilder(self.name, seed=seed, variance=LIFTED_VARIANCE)
        x = g.input("input", input_shape)
        x = g.conv(x, "conv1", (COLOURS, self.width), kernel=7, stride=2)
        # Not lifted: the largest of nine lifted neighbours are much alike, and fp16 spends its digits on what they share.
        x = g.relu(g.batch_norm(x, "bn1", self.width), "relu1")
        x = g.max_pool(x, "maxpool", kernel=3, stride=2)
        ends, widths = [], [self.width]
        for group, count in enumerate(self.blocks, start=1):
            outside = self.width * 2 ** (group - 1)
            for index in range(count):
                stride = 2 if group > 1 and index == 0 else 1
                inside = widths[-1] if index == 0 else outside
                x = _basic(g, x, f"encoder{group}.{index}", (inside, outside), stride)
            ends.append(x)
            widths.append(outside)
        for group in range(_GROUPS, 0, -1):
            x = _decoder(g, x, f"decoder{group}", (widths[group], widths[group - 1]), stride=2 if group > 1 else 1)
            if group > 1:
                x = g.add(x, ends[group - 2], f"link{group}")
        thin = self.width // 2
        x = g.conv_transpose(x, "full1", (self.width, thin), kernel=3)
        x = g.relu(g.batch_norm(x, "full1.bn", thin, lift=LIFT), "full1.relu")
        x = g.conv(x, "conv2", (thin, thin), kernel=3)
        x = g.relu(g.batch_norm(x, "conv2.bn", thin, lift=LIFT), "conv2.relu")
        x = g.conv_transpose(x, "full2", (thin, self.classes), kernel=2, bias=True)
        g.output(x, "logits", (self.classes, height, width))
        return g.model()


def _basic(g: GraphBuilder, x: str, name: str, channels: tuple[int, int], stride: int) -> str:
    """Two 3x3 convolutions added to the shortcut."""
    inside, outside = channels
    y = g.conv(x, f"{name}.conv1", (inside, outside), kernel=3, stride=stride)
    y = g.relu(g.batch_norm(y, f"{name}.bn1", outside, lift=LIFT), f"{name}.relu1")
    y = g.conv(y, f"{name}.conv2", (outside, outside), kernel=3)
    y = g.batch_norm(y, f"{name}.bn2", outside, gain=_BRANCH_GAIN)
    if stride != 1 or inside != outside:
        x = g.conv(x, f"{name}.downsample.conv", (inside, outside), kernel=1, stride=stride)
        x = g.batch_norm(x, f"{name}.downsample.bn", outside)
    return g.relu(g.add(y, x, f"{name}.add"), f"{name}.relu2")


def _decoder(g: GraphBuilder, x: str, name: str, channels: tuple[int, int], stride: int) -> str:
    """1x1 to a quarter of the channels, 3x3 in them, 1x1 to the channels wanted; the 3x3 doubles the picture if it strides."""
    inside, outside = channels
    quarter = inside // 4
    x = g.conv(x, f"{name}.conv1", (inside, quarter), kernel=1)
    x = g.relu(g.batch_norm(x, f"{name}.bn1", quarter, lift=LIFT), f"{name}.relu1")
    if stride == 2:
        x = g.conv_transpose(x, f"{name}.conv2", (quarter, quarter), kernel=3)
    else:
        x = g.conv(x, f"{name}.conv2", (quarter, quarter), kernel=3)
    x = g.relu(g.batch_norm(x, f"{name}.bn2", quarter, lift=LIFT), f"{name}.relu2")
    x = g.conv(x, f"{name}.conv3", (quarter, outside), kernel=1)
    return g.relu(g.batch_norm(x, f"{name}.bn3", outside, lift=LIFT), f"{name}.relu3")
