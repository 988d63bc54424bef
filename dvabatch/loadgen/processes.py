"""Arrival processes: when requests come, as integer nanoseconds from 0, computed before the run.

Law of all of them: `arrivals_ns(num_requests, duration_s, seed)` is sorted and ends at the first bound it meets (an
arrival at exactly `duration_s` counts). Gaps are drawn whole, never clipped, and the first arrival comes one gap after 0.
A longer answer begins with the shorter one. `at_rate` is the same process, and with the same seed the same pattern, at
another mean rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from dvabatch.loadgen.extent import (
    MAX_ARRIVALS,
    Extent,
    Floats,
    Nanoseconds,
    check_not_negative,
    check_positive,
    running_sums,
    to_ns,
)
from dvabatch.loadgen.profile import RateProfile
from dvabatch.loadgen.streams import Stream, generator


class Process(Protocol):
    """What a schedule is made from."""

    @property
    def name(self) -> str:
        """The process's name in configs and reports."""

    @property
    def mean_rate_rps(self) -> float:
        """Requests per second in the long run, or over the whole of a process that ends."""

    def at_rate(self, rate_rps: float) -> "Process":
        """The same process at another mean rate; durations stay, except in a replay, whose time is stretched."""

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        """Sorted int64 nanoseconds within both bounds; None does not bound."""


@dataclass(frozen=True, slots=True)
class Gamma:
    """Independent gaps of gamma distribution.

    `burstiness` is the shape: 1 makes it Poisson, less clusters the requests (the gaps' variance is mean² / burstiness),
    more evens them out, `inf` makes it constant.
    """

    rate_rps: float
    burstiness: float
    name: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        check_positive("rate_rps", self.rate_rps)
        if self.burstiness != math.inf:
            check_positive("burstiness", self.burstiness)

    @property
    def mean_rate_rps(self) -> float:
        return self.rate_rps

    def at_rate(self, rate_rps: float) -> "Gamma":
        return replace(self, rate_rps=rate_rps)

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        extent = Extent(num_requests, duration_s)
        extent.require_bound(self.name)
        rng = generator(seed, Stream.ARRIVALS)

        def draw(size: int) -> Floats:
            if self.burstiness == math.inf:
                return np.ones(size)
            if self.burstiness == 1:  # the same stream as Poisson's, which the general method is not
                return rng.standard_exponential(size)
            return rng.standard_gamma(self.burstiness, size) / self.burstiness

        # One mean gap past the end: the exact end is decided in nanoseconds.
        until = math.inf if duration_s is None else self.rate_rps * duration_s + 1
        with np.errstate(over="ignore"):  # a time that overflows is refused by to_ns
            times_s = running_sums(draw, num_requests, until) / self.rate_rps
        return extent.clip(to_ns(times_s))


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent exponential gaps: many users who do not know of each other."""

    rate_rps: float
    name: ClassVar[str] = "poisson"

    def __post_init__(self) -> None:
        check_positive("rate_rps", self.rate_rps)

    @property
    def mean_rate_rps(self) -> float:
        return self.rate_rps

    def at_rate(self, rate_rps: float) -> "Poisson":
        return replace(self, rate_rps=rate_rps)

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        return Gamma(self.rate_rps, 1.0).arrivals_ns(num_requests, duration_s, seed)


@dataclass(frozen=True, slots=True)
class Constant:
    """Equal gaps; the seed changes nothing."""

    rate_rps: float
    name: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        check_positive("rate_rps", self.rate_rps)

    @property
    def mean_rate_rps(self) -> float:
        return self.rate_rps

    def at_rate(self, rate_rps: float) -> "Constant":
        return replace(self, rate_rps=rate_rps)

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        return Gamma(self.rate_rps, math.inf).arrivals_ns(num_requests, duration_s, seed)


@dataclass(frozen=True, slots=True)
class Mmpp:
    """Poisson arrivals whose rate switches between two values: on-off bursts.

    Each state lasts an exponential time of the given mean; the process starts in its long-run mix of states.
    """

    low_rps: float
    high_rps: float
    low_dwell_s: float
    high_dwell_s: float
    name: ClassVar[str] = "mmpp"

    def __post_init__(self) -> None:
        check_not_negative("low_rps", self.low_rps)
        check_positive("high_rps", self.high_rps)
        check_positive("low_dwell_s", self.low_dwell_s)
        check_positive("high_dwell_s", self.high_dwell_s)
        if self.low_rps > self.high_rps:
            raise ValueError(f"low_rps must not exceed high_rps, got {self.low_rps} and {self.high_rps}: swap them")

    @property
    def mean_rate_rps(self) -> float:
        low, high = self.low_dwell_s, self.high_dwell_s
        return (self.low_rps * low + self.high_rps * high) / (low + high)

    def at_rate(self, rate_rps: float) -> "Mmpp":
        check_positive("rate_rps", rate_rps)
        factor = rate_rps / self.mean_rate_rps
        return replace(self, low_rps=self.low_rps * factor, high_rps=self.high_rps * factor)

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        extent = Extent(num_requests, duration_s)
        extent.require_bound(self.name)
        draw = generator(seed, Stream.ARRIVALS).standard_exponential
        end_s = math.inf if duration_s is None else duration_s
        if num_requests is None:
            profile = self._profile(seed, end_s, math.inf)
            hits = running_sums(draw, None, profile.hits_at(end_s))
        else:
            hits = running_sums(draw, num_requests, self.high_rps * end_s + 1)
            profile = self._profile(seed, end_s, float(hits[-1]) if len(hits) else 0.0)
            hits = hits[hits < profile.total_hits]
        return extent.clip(to_ns(profile.times_s(hits)))

    def _profile(self, seed: int, end_s: float, hits: float) -> RateProfile:
        """The switching rate, far enough to pass `end_s` or the expected number `hits`."""
        rng = generator(seed, Stream.DWELLS)
        starts_high = rng.random() * (self.low_dwell_s + self.high_dwell_s) < self.high_dwell_s
        states = np.array([starts_high, not starts_high])  # the even dwells, the odd dwells
        means_s = np.where(states, self.high_dwell_s, self.low_dwell_s)
        rates = np.where(states, self.high_rps, self.low_rps)
        dwells, count = np.empty(0), 64
        while True:
            drawn = rng.standard_exponential((count // 2, 2)) * means_s
            dwells = np.concatenate([dwells, drawn.ravel()])
            profile = RateProfile(dwells, np.tile(rates, len(dwells) // 2))
            if profile.total_s > end_s or profile.total_hits > hits:
                return profile
            count = len(dwells)  # doubles
            if count > MAX_ARRIVALS:
                raise ValueError(f"mmpp would switch more than {MAX_ARRIVALS:,} times: lengthen the dwell times")


@dataclass(frozen=True, slots=True)
class Step:
    """Poisson arrivals at one rate after another; it ends with the last step.

    `steps` are pairs of duration in seconds and rate in requests per second. The mean rate is that of the whole.
    """

    steps: Sequence[tuple[float, float]]
    name: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        steps = tuple(tuple(step) for step in self.steps)
        object.__setattr__(self, "steps", steps)
        for index, step in enumerate(steps):
            if len(step) != 2:
                raise ValueError(f"step {index} must be [duration_s, rate_rps], got {list(step)}")
            check_positive(f"the duration of step {index}", step[0])
            check_not_negative(f"the rate of step {index}", step[1])
        if not any(rate for _, rate in self.steps):
            raise ValueError(
                f"steps must hold one [duration_s, rate_rps] with a rate above 0 at least, got {list(steps)}"
            )

    @property
    def mean_rate_rps(self) -> float:
        return sum(duration * rate for duration, rate in self.steps) / sum(duration for duration, _ in self.steps)

    def at_rate(self, rate_rps: float) -> "Step":
        check_positive("rate_rps", rate_rps)
        factor = rate_rps / self.mean_rate_rps
        return Step(tuple((duration, rate * factor) for duration, rate in self.steps))

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        extent = Extent(num_requests, duration_s)
        durations, rates = np.array(self.steps, dtype=np.float64).T
        profile = RateProfile(durations, rates)
        draw = generator(seed, Stream.ARRIVALS).standard_exponential
        hits = running_sums(draw, num_requests, profile.hits_at(math.inf if duration_s is None else duration_s))
        return extent.clip(to_ns(profile.times_s(hits[hits < profile.total_hits])))


@dataclass(frozen=True, slots=True)
class Ramp:
    """Poisson arrivals whose rate goes in a straight line from one value to another; it ends after `duration_s`."""

    from_rps: float
    to_rps: float
    duration_s: float
    name: ClassVar[str] = "ramp"

    def __post_init__(self) -> None:
        check_not_negative("from_rps", self.from_rps)
        check_not_negative("to_rps", self.to_rps)
        check_positive("duration_s", self.duration_s)
        check_positive("from_rps + to_rps", self.from_rps + self.to_rps)

    @property
    def mean_rate_rps(self) -> float:
        return (self.from_rps + self.to_rps) / 2

    def at_rate(self, rate_rps: float) -> "Ramp":
        check_positive("rate_rps", rate_rps)
        factor = rate_rps / self.mean_rate_rps
        return replace(self, from_rps=self.from_rps * factor, to_rps=self.to_rps * factor)

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        extent = Extent(num_requests, duration_s)
        end_s = self.duration_s if duration_s is None else min(duration_s, self.duration_s)
        slope = (self.to_rps - self.from_rps) / self.duration_s
        draw = generator(seed, Stream.ARRIVALS).standard_exponential
        hits = running_sums(draw, num_requests, self.from_rps * end_s + slope * end_s**2 / 2)
        # from·t + slope·t²/2 = hits, solved in the form that neither cancels nor divides by a slope of 0. A falling ramp
        # ends where the root is 0, which rounding may pass; a rising one from rate 0 may meet 0 hits.
        root = np.sqrt(np.maximum(self.from_rps**2 + 2 * slope * hits, 0.0))
        times_s = 2 * hits / np.maximum(self.from_rps + root, np.finfo(np.float64).tiny)
        # Rounding may order close neighbours wrongly.
        return extent.clip(to_ns(np.maximum.accumulate(np.minimum(times_s, end_s))))
