"""By which power of a clock that falls a GPU takes longer, by batch size.

A card that comes to its power cap lowers its clock. Kernels that wait for memory do not slow down with it, and large batches
have more of them: on an H200 a stage of U-Net took longer by the clock to the power of 0.97 at one row and 0.58 at 32.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final, TypeAlias

from dvabatch.batching.curve import Curve

# A GPU's clock in MHz between two instants of `time.perf_counter_ns`; None where nobody knows.
Clock: TypeAlias = Callable[[int, int], float | None]

_STEADY: Final = 0.97  # of the highest clock: one that falls by less tells nothing of a power
_ROUNDS: Final = 2
_SETTLED: Final = 0.5  # of heating, behind which its clock is noted: what is told of a clock comes late


class ClockPowers:
    """Measures them: each size on a card that has rested, and on one that the largest has heated."""

    def __init__(
        self,
        repeated_ns: Callable[[int, int], float],
        clock: Clock,
        *,
        rest_s: float,
        heat_s: float,
        progress: Callable[[str], None],
    ) -> None:
        """`repeated_ns` says what each of so many batches of a size takes, one right behind the other. A card that rests for
        `rest_s` is back at its highest clock, and one that is at work for `heat_s` at its lowest; what is timed on either is
        over before that changes."""
        self._repeated_ns = repeated_ns
        self._clock = clock
        self._rest_s = rest_s
        self._heat_s = heat_s
        self._progress = progress

    def measure(self, sizes: Sequence[int], few: Callable[[int], int], sm_mhz: Curve | None) -> Curve | None:
        """By batch size; `few` says how many of a size are timed. `sm_mhz` are the clocks of long work: None where they are not
        known, or do not fall, or where none is heard of meanwhile."""
        if sm_mhz is None:
            return None
        highest_mhz = max(mhz for _, mhz in sm_mhz.points)
        if sm_mhz.points[-1][1] > _STEADY * highest_mhz:
            return None
        powers = []
        for size in sizes:
            self._progress(f"timing by the clock, batch {size}")
            found = []
            for _ in range(_ROUNDS):
                time.sleep(self._rest_s)
                rested_ns = self._repeated_ns(size, few(size))
                mhz = self._heated_mhz(sizes[-1], few(sizes[-1]))
                if mhz is None or mhz > _STEADY * highest_mhz:
                    return None
                slower = self._repeated_ns(size, few(size)) / rested_ns
                found.append(math.log(max(1.0, slower)) / math.log(highest_mhz / mhz))
            powers.append((float(size), min(1.0, median(found))))
        return Curve(tuple(powers))

    def _heated_mhz(self, size: int, few: int) -> float | None:
        began_ns = time.perf_counter_ns()
        settled_ns, over_ns = began_ns + round(1e9 * _SETTLED * self._heat_s), began_ns + round(1e9 * self._heat_s)
        while time.perf_counter_ns() < over_ns:
            self._repeated_ns(size, few)
        return self._clock(settled_ns, time.perf_counter_ns())
