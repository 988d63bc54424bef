"""Launches of two sizes side by side on a device: by how much each slows down, and how they weigh in a crowd by that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from dvabatch.batching.crowding import USUAL_EXPONENT, weight
from dvabatch.batching.curve import Curve

# Exponents that are tried: with 0 a launch counts as any other, with 1 by its whole device time.
_TRIED: Final = tuple(step / 100 for step in range(121))
_TELLS: Final = 0.02  # the best is off by so much less than the worst: otherwise it is chance
_ENDS_TOGETHER: Final = 0.02  # of the time: who ended first is not known then


class Beside(NamedTuple):
    """A launch that always had one of another size beside it."""

    alike: Curve  # its slowdown, by how many of its own size are at once, itself included
    device_ms: float  # what it needs of the device
    other_ms: float  # what the other one does
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
    """The power of device time with which what was measured comes out best, where launches count by it.

    None where nothing tells: launches that hardly slow each other down come out alike with all of them.
    """

    def off(tried: float) -> float:
        """By what part slowdowns are off, usually."""
        logs = [
            math.log(each.alike.at(1 + weight(each.other_ms, tried) / weight(each.device_ms, tried)) / each.slowdown)
            for each in found
        ]
        return math.sqrt(sum(log * log for log in logs) / len(logs))

    if not found:
        return None
    best = min(_TRIED, key=off)
    worst = max(off(tried) for tried in (_TRIED[0], USUAL_EXPONENT, _TRIED[-1]))
    return best if worst - off(best) >= _TELLS else None
