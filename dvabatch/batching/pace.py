"""The pace of arrivals, estimated from those that have come: how much of the device they ask for."""

from __future__ import annotations

import math
from typing import Final

from dvabatch.batching.profile import Profile

# Time constants of the means, in times of the whole model at batch 1, and how often a decay is squared from one to the next.
_INSTANT: Final = 0.25
_QUICK: Final = 2.0
_SHORT: Final = 4.0
_LONG: Final = 32.0
_LONG_IN_SHORT: Final = 3
_SHORT_IN_QUICK: Final = 1
_QUICK_IN_INSTANT: Final = 3

_DEVIATIONS: Final = 5.0  # of what steady arrivals would show: what lies above is a burst
_MOST: Final = 0.8  # of a burst's load: a mean over so few arrivals, at its highest, is above what it estimates
_BACK: Final = 0.53  # of a burst's load: above it in an instant, the burst is back
_GONE: Final = 0.16  # and below it in the quick mean, it is gone
_AGED: Final = 40.0  # time constants, after which what came before the first arrival would not count in any digit
_REMEMBERED: Final = 6.0  # how long a burst is expected back, in time constants of the long mean


class Pace:
    """The arriving work, in parts of what the device can do at its best batch size.

    A query brings min over b of T(lane, b)/b: 1.0 is the arrival rate at which ordinary batching is at its limit. Of steady
    arrivals the load is their mean over a long time. A burst begins when the quick mean stands out above it, lasts until the
    quick and the short one have fallen below it, and is certain once the short one has stood out as well. A certain burst is
    remembered: those that came once come again. While one is, there are two loads, that of the burst and that of the lull, and
    a few arrivals tell which of them it is: far fewer than it takes to tell a burst from what steady arrivals do by chance.
    """

    __slots__ = (
        "_arrived",
        "_certain",
        "_counted",
        "_in_burst",
        "_in_lull",
        "_instant",
        "_long",
        "_peak",
        "_quick",
        "_short",
        "_then_ns",
        "_until_ns",
        "_usual_work_ns",
        "_work_ns",
    )

    def __init__(self, profile: Profile, max_batch: int, arrived: list[int]) -> None:
        """Means over 1/4, 2, 4 and 32 times the whole model at batch 1 in the last lane.

        `arrived[lane]` is how many have come so far, counted by whoever takes them in: only policies that ask for the pace
        pay for it.
        """
        self._arrived, self._counted = arrived, [0] * len(arrived)
        sizes = range(1, max_batch + 1)
        lanes = range(len(profile.lanes))
        self._work_ns = [min(profile.whole_ns(b, lane) / b for b in sizes) for lane in lanes]
        self._usual_work_ns = sum(self._work_ns) / len(self._work_ns)
        whole_ns = profile.whole_ns(1, lanes[-1])
        self._instant, self._quick = _Mean(_INSTANT * whole_ns), _Mean(_QUICK * whole_ns)
        self._short, self._long = _Mean(_SHORT * whole_ns), _Mean(_LONG * whole_ns)
        self._in_burst = self._certain = self._in_lull = False
        self._peak = 0.0  # the load of this burst, or of the last one
        self._until_ns = 0  # when the last certain one is forgotten
        self._then_ns = 0  # when it was last asked

    def utilization(self, now_ns: int) -> float:
        """The load as of now; 0 before the first arrival. To be asked with rising instants."""
        self._decay(now_ns)
        # A burst is over by the means before those who just came: right after an arrival a quick mean is always above a long.
        over = max(self._quick.value(now_ns), self._short.value(now_ns)) < self._long.value(now_ns)
        fresh_ns = self._fresh_ns()
        instant, quick = self._instant.with_fresh(now_ns, fresh_ns), self._quick.with_fresh(now_ns, fresh_ns)
        short, long = self._short.with_fresh(now_ns, fresh_ns), self._long.with_fresh(now_ns, fresh_ns)
        if self._in_burst:
            self._peak = max(self._peak, min(short, _MOST))
            self._certain = self._certain or self._stands_out(self._short, short, long)
            if over:
                self._in_burst = False
                if self._certain:
                    self._until_ns = now_ns + round(_REMEMBERED * self._long.tau_ns)
        elif self._long.settled(now_ns) and self._stands_out(self._quick, quick, long):
            self._in_burst, self._certain = True, False
            self._peak = max(self._peak if now_ns < self._until_ns else 0.0, min(quick, _MOST))

        remembered = now_ns < self._until_ns or (self._in_burst and self._certain)
        if remembered:
            self._in_lull = instant <= _BACK * self._peak and (self._in_lull or quick < _GONE * self._peak)
        else:
            self._in_lull = not self._in_burst
        if self._in_lull:
            return quick if remembered else long
        return max(long, self._peak)

    def _decay(self, now_ns: int) -> None:
        """Brings all means to now. Time constants are powers of two of each other: one decay is squared to the next."""
        elapsed_ns = now_ns - self._then_ns
        if elapsed_ns <= 0:
            return
        self._then_ns = now_ns
        long = math.exp(-elapsed_ns / self._long.tau_ns)
        short = _squared(long, _LONG_IN_SHORT)
        quick = _squared(short, _SHORT_IN_QUICK)
        self._long.decayed_ns *= long
        self._short.decayed_ns *= short
        self._quick.decayed_ns *= quick
        self._instant.decayed_ns *= _squared(quick, _QUICK_IN_INSTANT)

    def _stands_out(self, mean: _Mean, value: float, long: float) -> bool:
        """Whether a mean is above the long one by more than steady arrivals would show."""
        # Of Poisson arrivals of work w at a load rho, an exponential mean over tau has the variance rho w / (2 tau).
        work_ns = self._usual_work_ns
        load = max(long, work_ns / self._long.tau_ns)  # at least one query in the time of the long mean
        return value - long > _DEVIATIONS * math.sqrt(load * work_ns / (2 * mean.tau_ns))

    def _fresh_ns(self) -> float:
        """The work that has come since it was last asked."""
        fresh_ns = 0.0
        for lane, count in enumerate(self._arrived):
            if count > self._counted[lane]:
                fresh_ns += (count - self._counted[lane]) * self._work_ns[lane]
                self._counted[lane] = count
        return fresh_ns


def _squared(value: float, times: int) -> float:
    """A value, squared so many times."""
    for _ in range(times):
        value *= value
    return value


class _Mean:
    """An exponentially weighted mean: what came a time constant ago counts 1/e of what comes now.

    Until it is a few time constants old, the mean is over its age.
    """

    __slots__ = ("_at_ns", "_over_ns", "_since_ns", "decayed_ns", "tau_ns")

    def __init__(self, tau_ns: float) -> None:
        self.tau_ns = tau_ns
        self._since_ns = -1  # the first arrival
        self.decayed_ns = 0.0  # all work before, by its weight
        self._at_ns = -1  # when `_over_ns` was reckoned: it is asked for twice an instant
        self._over_ns = tau_ns

    def settled(self, now_ns: int) -> bool:
        """Whether it is old enough to be compared with: of a first handful a mean says little."""
        return self._since_ns >= 0 and now_ns - self._since_ns > self.tau_ns / 4

    def value(self, now_ns: int) -> float:
        """The mean as of now."""
        if self._since_ns < 0:
            return 0.0
        return self.decayed_ns / self._over(now_ns)

    def with_fresh(self, now_ns: int, fresh_ns: float) -> float:
        """The mean as of now, with the work that has just come."""
        if self._since_ns < 0:
            if not fresh_ns:
                return 0.0
            self._since_ns = now_ns
        self.decayed_ns += fresh_ns
        return self.decayed_ns / self._over(now_ns)

    def _over(self, now_ns: int) -> float:
        """What the mean is over."""
        if now_ns != self._at_ns:
            self._at_ns = now_ns
            age_ns = now_ns - self._since_ns
            if age_ns > _AGED * self.tau_ns:
                self._over_ns = self.tau_ns
            else:
                self._over_ns = max(self.tau_ns * -math.expm1(-age_ns / self.tau_ns), self.tau_ns / 4)
        return self._over_ns
