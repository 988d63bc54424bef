"""By how much launches of different batch sizes slow each other down.

A device takes the kernels of what is in flight by turns, not time by turns: a launch waits at each of its kernels for those of
the others. As launches of a model have the same kernels, whatever their size, a launch waits for another one about as long as
launches of that other's size wait for each other: a small launch beside a large one takes about as long as the large one, which
itself waits for little. How long those of a size wait for each other is what a profile measures, and `part` tells; what one
launch waits for another of another size lies between what both their sizes wait, and `wait_between` tells where.

That more company never makes a launch faster holds for curves as they are measured, not for every table: where large crowds of
a size wait for a much smaller part than small ones do, one more launch may take from what others wait.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from dvabatch.batching.curve import Curve
from dvabatch.batching.errors import ProfileError

# How much one's own size has to say beside one that waits longer: fitted to how long launches took in traces of ResNet-152,
# U-Net and BERT-base on an H200. And beside one that waits less: fitted to what runs of ResNet-152 and BERT-base took on
# average at half load. With 0.15 those of ResNet-152 with many launches at once come out 7 to 26 % too fast there, with 0.25
# 1 to 2 %, but for LOAD_DVA and HYBRID_DVA (15 and 18 %).
_OWN_OF_SMALLER: Final = 0.15
_OWN_OF_LARGER: Final = 0.25
# Beside other sizes, one's own part counts as this at the least: less cannot be told from nothing, and even a size that its
# like do not slow down waits for a large launch.
LEAST: Final = 0.01
_NEXT_TO_ALONE: Final = 1.000001  # what is left of a curve between that and 1 has rounding for a slope
_SLOWEST: Final = 1e6
_MOST_NUMBERS: Final = 64  # at once, of a size: a table may come from anywhere


class Crowding:
    """Slowdown curves by batch size: 2 to the slowdown of two alike at once, 4 to that of four, and so on."""

    __slots__ = ("_curves", "_sizes", "by_size")

    def __init__(self, by_size: Mapping[int, Curve]) -> None:
        """Between the sizes measured, curves are interpolated; beyond them, the nearest serves.

        Raises:
            ProfileError: sizes that were not measured with the same numbers at once, or slowdowns that fall or lie below 1.
        """
        counts = {tuple(x for x, _ in curve.points) for curve in by_size.values()}
        if len(counts) != 1:
            raise ProfileError(f"crowding needs one or more sizes with the same numbers at once, got {sorted(counts)}")
        if len(next(iter(counts))) > _MOST_NUMBERS:
            raise ProfileError(
                f"crowding has {len(next(iter(counts)))} numbers at once, wanted at most {_MOST_NUMBERS}"
            )
        self.by_size = dict(sorted(by_size.items()))
        self._sizes = tuple(self.by_size)
        for size, curve in self.by_size.items():
            slowdowns = [y for _, y in curve.points]
            if curve.points[0][0] <= 1 or not 1 <= slowdowns[0] <= slowdowns[-1] <= _SLOWEST:
                raise ProfileError(
                    f"crowding.{size}: slowdowns of 2 or more at once lie from 1 to {_SLOWEST:g}, got {curve.points}"
                )
            if any(b < a for a, b in pairwise(slowdowns)):
                raise ProfileError(f"crowding.{size}: more at once are never faster, got {curve.points}")
        self._curves: dict[int, Curve] = {}  # by batch, as they are asked for

    def _between(self, batch: int) -> Curve:
        sizes = self._sizes
        i = bisect_left(sizes, batch)
        if i == 0 or i == len(sizes):
            return _from_one(self.by_size[sizes[min(i, len(sizes) - 1)]].points)
        below, above = sizes[i - 1], sizes[i]
        part = (batch - below) / (above - below)
        pairs = zip(self.by_size[below].points, self.by_size[above].points, strict=True)
        return _from_one(tuple((x, low + part * (high - low)) for (x, low), (_, high) in pairs))

    def slowdown(self, batch: int, crowd: float) -> float:
        """Of a launch of `batch` rows among so many like it, itself included."""
        curve = self._curves.get(batch)
        if curve is None:
            curve = self._curves[batch] = self._between(batch)
        return min(_SLOWEST, curve.at(crowd))

    def part(self, batch: int, crowd: float) -> float:
        """For what part of the others a launch of `batch` rows waits among as many like it."""
        crowd = max(_NEXT_TO_ALONE, crowd)
        return (self.slowdown(batch, crowd) - 1) / (crowd - 1)


def wait_between(own_ns: float, other_ns: float) -> float:
    """How long a launch, of whose size each waits `own_ns` for one more, waits for one of whose size each waits `other_ns`."""
    own = _OWN_OF_SMALLER if own_ns < other_ns else _OWN_OF_LARGER
    return float(own_ns**own * other_ns ** (1.0 - own))


def _from_one(points: tuple[tuple[float, float], ...]) -> Curve:
    return Curve(((1.0, 1.0), *points))
