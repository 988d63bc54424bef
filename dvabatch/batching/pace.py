"""The pace of arrivals, estimated from those that have come: how much of the device they ask for."""

from __future__ import annotations

import math

from dvabatch.batching.profile import Profile


class Pace:
    """An exponentially weighted mean of arriving work, in parts of what the device can do at its best batch size.

    A query brings min over b of T(lane, b)/b: 1.0 is the arrival rate at which ordinary batching is at its limit. What came
    a time constant ago counts 1/e of what comes now; until a run is a few time constants old, the mean is over its age.
    """

    __slots__ = ("_decayed_ns", "_fresh_ns", "_since_ns", "_tau_ns", "_then_ns", "_work_ns")

    def __init__(self, profile: Profile, max_batch: int, *, wholes: float = 16.0) -> None:
        """The time constant is `wholes` times the whole model at batch 1 in the last lane."""
        sizes = range(1, max_batch + 1)
        lanes = range(len(profile.lanes))
        self._work_ns = [min(profile.whole_ns(b, lane) / b for b in sizes) for lane in lanes]
        self._tau_ns = wholes * profile.whole_ns(1, lanes[-1])
        self._since_ns: int | None = None  # the first arrival
        self._then_ns = 0  # when the mean was last brought up to date
        self._fresh_ns = 0.0  # work that has come since
        self._decayed_ns = 0.0  # all work before, by its weight

    def arrived(self, lane: int) -> None:
        """A query of this lane has come."""
        self._fresh_ns += self._work_ns[lane]

    def utilization(self, now_ns: int) -> float:
        """The mean as of now; 0 before the first arrival. To be asked with rising instants."""
        if self._since_ns is None:
            if not self._fresh_ns:
                return 0.0
            self._since_ns = self._then_ns = now_ns
        if now_ns > self._then_ns:
            self._decayed_ns *= math.exp((self._then_ns - now_ns) / self._tau_ns)
            self._then_ns = now_ns
        self._decayed_ns += self._fresh_ns
        self._fresh_ns = 0.0
        span_ns = self._tau_ns * -math.expm1((self._since_ns - now_ns) / self._tau_ns)
        return self._decayed_ns / max(span_ns, self._tau_ns / 4)  # of a first handful the mean says little
