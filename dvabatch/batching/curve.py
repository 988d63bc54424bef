"""A curve through measured points."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from dvabatch.batching.errors import ProfileError


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure by batch size or by load: linear between the measured points, which rise strictly in x."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        xs = [x for x, _ in self.points]
        if not xs or any(b <= a for a, b in pairwise(xs)):
            raise ProfileError(f"a curve needs one or more points in rising order, got {xs}")

    def at(self, x: float) -> float:
        """The value at x; left of the first point, the first; right of the last, the last segment continued."""
        points = self.points
        if x <= points[0][0] or len(points) == 1:
            return points[0][1]
        i = min(bisect_left(points, (x,)), len(points) - 1)
        (x0, y0), (x1, y1) = points[i - 1], points[i]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)

    def times(self, factor: float) -> Curve:
        """The same curve, every value multiplied."""
        return Curve(tuple((x, factor * y) for x, y in self.points))
