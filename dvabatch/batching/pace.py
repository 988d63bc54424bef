"""The pace of arrivals, estimated from those that have come: how much of the device they ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from dvabatch.batching.profile import Profile

_SHORT: Final = 4.0  # time constants, in times of the whole model at batch 1
_LONG: Final = 32.0
_DEVIATIONS: Final = 2.0  # of what steady arrivals would show: what lies above is a burst


class Pace:
    """The arriving work, in parts of what the device can do at its best batch size.

    A query brings min over b of T(lane, b)/b: 1.0 is the arrival rate at which ordinary batching is at its limit. Two means
    are kept, over a long time and over a short one. The long one counts, unless the short one lies above it by more than two
    standard deviations of what steady arrivals would show: a burst is seen soon, its end by and by.
    """

    __slots__ = ("_arrived", "_counted", "_long", "_short", "_work_ns")

    def __init__(self, profile: Profile, max_batch: int, arrived: Sequence[int]) -> None:
        """Means over 4 and 32 times the whole model at batch 1 in the last lane.

        `arrived[lane]` is how many have come so far, counted by whoever takes them in: only policies that ask for the pace
        pay for it.
        """
        self._arrived, self._counted = arrived, [0] * len(arrived)
        sizes = range(1, max_batch + 1)
        lanes = range(len(profile.lanes))
        self._work_ns = [min(profile.whole_ns(b, lane) / b for b in sizes) for lane in lanes]
        whole_ns = profile.whole_ns(1, lanes[-1])
        self._short, self._long = _Mean(_SHORT * whole_ns), _Mean(_LONG * whole_ns)

    def utilization(self, now_ns: int) -> float:
        """The load as of now; 0 before the first arrival. To be asked with rising instants."""
        fresh_ns = self._fresh_ns()
        short, long = self._short.value(now_ns, fresh_ns), self._long.value(now_ns, fresh_ns)
        if short <= long:
            return long
        # Of Poisson arrivals of work w at a load rho, an exponential mean over tau has the variance rho w / (2 tau).
        mean_work_ns = sum(self._work_ns) / len(self._work_ns)
        least = mean_work_ns / self._long.tau_ns
        deviation = math.sqrt(max(long, least) * mean_work_ns / (2 * self._short.tau_ns))
        return short if short - long > _DEVIATIONS * deviation else long

    def _fresh_ns(self) -> float:
        """The work that has come since it was last asked."""
        fresh_ns = 0.0
        for lane, count in enumerate(self._arrived):
            if count > self._counted[lane]:
                fresh_ns += (count - self._counted[lane]) * self._work_ns[lane]
                self._counted[lane] = count
        return fresh_ns


class _Mean:
    """An exponentially weighted mean: what came a time constant ago counts 1/e of what comes now.

    Until it is a few time constants old, the mean is over its age.
    """

    __slots__ = ("_decayed_ns", "_since_ns", "_then_ns", "tau_ns")

    def __init__(self, tau_ns: float) -> None:
        self.tau_ns = tau_ns
        self._since_ns: int | None = None  # the first arrival
        self._then_ns = 0  # when it was last asked
        self._decayed_ns = 0.0  # all work before, by its weight

    def value(self, now_ns: int, fresh_ns: float) -> float:
        """The mean as of now, with the work that has come since it was last asked."""
        if self._since_ns is None:
            if not fresh_ns:
                return 0.0
            self._since_ns = self._then_ns = now_ns
        if now_ns > self._then_ns:
            self._decayed_ns *= math.exp((self._then_ns - now_ns) / self.tau_ns)
            self._then_ns = now_ns
        self._decayed_ns += fresh_ns
        span_ns = self.tau_ns * -math.expm1((self._since_ns - now_ns) / self.tau_ns)
        return self._decayed_ns / max(span_ns, self.tau_ns / 4)  # of a first handful the mean says little
