"""Inception v3 without its auxiliary classifier (Szegedy et al., "Rethinking the Inception Architecture ...", 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from dvabatch.models.builder import GraphBuilder, zero_sum_variance
from dvabatch.models.pictures import COLOURS, picture_size

_EPSILON = 1e-3  # of the normalisations, as published with the weights
# Less than elsewhere (LIFT in builder.py): the branches' pools already take from what tells inputs apart.
_LIFT = 0.45
_SMALLEST = 75  # of which 1 x 1 is left at the end


@dataclass(frozen=True, slots=True)
class InceptionV3:
    """`divisor` divides the channels of every layer; 1 is the published network."""

    name: str
    divisor: int
    classes: int

    def __call__(self, input_shape: Sequence[int], seed: int) -> onnx.ModelProto:
        """The network for rows of `input_shape` (3, height, width).

        It takes "input" (N, 3, height, width) and gives "logits" (N, classes), both float32.
        """
        picture_size(self.name, input_shape, smallest=_SMALLEST)
        g = GraphBuilder(self.name, seed=seed, variance=zero_sum_variance(_LIFT))
        x = _Layers(g, self.divisor).of(g.input("input", input_shape))
        means = g.global_average_pool(x.tensor, "avgpool")
        g.output(g.linear(means, "fc", (x.channels, self.classes)), "logits", (self.classes,))
        return g.model()


@dataclass(frozen=True, slots=True)
class _Maps:
    """A tensor (N, channels, height, width)."""

    tensor: str
    channels: int


class _Layers:
    """The convolutional part; channels are those of the paper, divided."""

    def __init__(self, g: GraphBuilder, divisor: int) -> None:
        self._g = g
        self._divisor = divisor

    def of(self, picture: str) -> _Maps:
        x = self._conv(_Maps(picture, COLOURS), "stem.1a", 32, 3, stride=2, valid=True)
        x = self._conv(x, "stem.2a", 32, 3, valid=True)
        # Not lifted before their pools, as in linknet.py.
        x = self._conv(x, "stem.2b", 64, 3, lift=0.0)
        x = self._max_pool(x, "stem.pool1")
        x = self._conv(x, "stem.3b", 80, 1, valid=True)
        x = self._conv(x, "stem.4a", 192, 3, valid=True, lift=0.0)
        x = self._max_pool(x, "stem.pool2")
        for index, pooled in enumerate((32, 64, 64)):
            x = self._squares(x, f"mixed5{'bcd'[index]}", pooled)
        x = self._first_reduction(x, "mixed6a")
        for index, inner in enumerate((128, 160, 160, 192)):
            x = self._strips(x, f"mixed6{'bcde'[index]}", inner)
        x = self._second_reduction(x, "mixed7a")
        for index in range(2):
            x = self._fans(x, f"mixed7{'bc'[index]}")
        return x

    def _squares(self, x: _Maps, name: str, pooled: int) -> _Maps:
        """1x1, 5x5, two 3x3 and a pool side by side."""
        five = self._conv(self._conv(x, f"{name}.five1", 48, 1), f"{name}.five2", 64, 5)
        three = self._conv(self._conv(x, f"{name}.three1", 64, 1), f"{name}.three2", 96, 3)
        three = self._conv(three, f"{name}.three3", 96, 3)
        return self._concat([self._conv(x, f"{name}.one", 64, 1), five, three, self._pooled(x, name, pooled)], name)

    def _first_reduction(self, x: _Maps, name: str) -> _Maps:
        three = self._conv(x, f"{name}.three", 384, 3, stride=2, valid=True)
        twice = self._conv(self._conv(x, f"{name}.twice1", 64, 1), f"{name}.twice2", 96, 3)
        twice = self._conv(twice, f"{name}.twice3", 96, 3, stride=2, valid=True)
        return self._concat([three, twice, self._max_pool(x, f"{name}.pool")], name)

    def _strips(self, x: _Maps, name: str, inner: int) -> _Maps:
        """7x7 as 1x7 and 7x1, once and twice, beside a 1x1 and a pool."""
        once = self._conv(self._conv(x, f"{name}.once1", inner, 1), f"{name}.once2", inner, (1, 7))
        once = self._conv(once, f"{name}.once3", 192, (7, 1))
        twice = self._conv(self._conv(x, f"{name}.twice1", inner, 1), f"{name}.twice2", inner, (7, 1))
        twice = self._conv(self._conv(twice, f"{name}.twice3", inner, (1, 7)), f"{name}.twice4", inner, (7, 1))
        twice = self._conv(twice, f"{name}.twice5", 192, (1, 7))
        return self._concat([self._conv(x, f"{name}.one", 192, 1), once, twice, self._pooled(x, name, 192)], name)

    def _second_reduction(self, x: _Maps, name: str) -> _Maps:
        three = self._conv(self._conv(x, f"{name}.three1", 192, 1), f"{name}.three2", 320, 3, stride=2, valid=True)
        seven = self._conv(self._conv(x, f"{name}.seven1", 192, 1), f"{name}.seven2", 192, (1, 7))
        seven = self._conv(seven, f"{name}.seven3", 192, (7, 1))
        seven = self._conv(seven, f"{name}.seven4", 192, 3, stride=2, valid=True)
        return self._concat([three, seven, self._max_pool(x, f"{name}.pool")], name)

    def _fans(self, x: _Maps, name: str) -> _Maps:
        """3x3 as 1x3 beside 3x1, after a 1x1 and after a 3x3."""
        once = self._fan(self._conv(x, f"{name}.once1", 384, 1), f"{name}.once")
        twice = self._conv(self._conv(x, f"{name}.twice1", 448, 1), f"{name}.twice2", 384, 3)
        twice = self._fan(twice, f"{name}.twice")
        return self._concat([self._conv(x, f"{name}.one", 320, 1), once, twice, self._pooled(x, name, 192)], name)

    def _fan(self, x: _Maps, name: str) -> _Maps:
        parts = [self._conv(x, f"{name}.across", 384, (1, 3)), self._conv(x, f"{name}.down", 384, (3, 1))]
        return self._concat(parts, name)

    def _conv(
        self,
        x: _Maps,
        name: str,
        channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        valid: bool = False,
        lift: float = _LIFT,
    ) -> _Maps:
        outside = channels // self._divisor
        y = self._g.conv(x.tensor, f"{name}.conv", (x.channels, outside), kernel=kernel, stride=stride, valid=valid)
        y = self._g.batch_norm(y, f"{name}.bn", outside, epsilon=_EPSILON, lift=lift)
        return _Maps(self._g.relu(y, f"{name}.relu"), outside)

    def _pooled(self, x: _Maps, name: str, channels: int) -> _Maps:
        means = _Maps(self._g.average_pool(x.tensor, f"{name}.means", kernel=3, stride=1), x.channels)
        return self._conv(means, f"{name}.pooled", channels, 1)

    def _max_pool(self, x: _Maps, name: str) -> _Maps:
        return _Maps(self._g.max_pool(x.tensor, name, kernel=3, stride=2, valid=True), x.channels)

    def _concat(self, parts: Sequence[_Maps], name: str) -> _Maps:
        joined = self._g.concat([part.tensor for part in parts], f"{name}.concat")
        return _Maps(joined, sum(part.channels for part in parts))
