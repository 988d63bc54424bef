"""Launches of two sizes side by side on a device: by how much each slows down, and how they weigh in a crowd by that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from dvabatch.batching.crowding import weight
from dvabatch.batching.curve import Curve

# Exponents that are tried: with 0 a launch counts as any other, with 1 by its whole device time.
_TRIED: Final = tuple(step / 100 for step in range(121))
_ENDS_TOGETHER: Final = 0.02  # of the time: who ended first is not known then


class Beside(NamedTuple):
    """A launch that always had one of another size beside it."""

    alike: Curve  # its slowdown, by how many of its own size are at once, itself included
    device_ns: float  # what it needs of the device
    other_ns: float  # what the other one does
    slowdown: float  # as measured


def slowdowns(alone_ms: tuple[float, float], done_ms: tuple[float, float]) -> tuple[float, float] | None:
    """Of two queues of launches that began together, the first of which was done first.

    `alone_ms` is what each takes by itself, `done_ms` when each was done. None if that says nothing: they were done together,
    or the second one had done none of its work by then.
    """
    together_ms, left_ms = done_ms[0], done_ms[1] - done_ms[0]
    if left_ms < _ENDS_TOGETHER * done_ms[1] or left_ms >= alone_ms[1]:
        return None
    return max(1.0, together_ms / alone_ms[0]), max(1.0, together_ms / (alone_ms[1] - left_ms))


def exponent(found: Sequence[Beside]) -> float | None:
    """The power of device time with which what was measured comes out best, where launches count by it; None of nothing."""

    def error(tried: float) -> float:
        return sum(
            math.log(each.alike.at(1 + weight(each.other_ns, tried) / weight(each.device_ns, tried)) / each.slowdown)
            ** 2
            for each in found
        )

    return min(_TRIED, key=error) if found else None
