"""How far a load goes, and the arithmetic that every arrival process shares."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Nanoseconds = npt.NDArray[np.int64]

NS_PER_S = 1_000_000_000

# 400 MB of arrivals. More is a slip in a rate or a duration rather than a wish.
MAX_ARRIVALS = 50_000_000

# Half of int64, about 146 years: an anchor can be added without overflow.
MAX_NS = 2**62


def check_positive(what: str, value: float) -> None:
    """Refuse what is not a finite number above 0."""
    if not _is_number(value) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{what} must be a finite number above 0, got {value!r}")


def check_not_negative(what: str, value: float) -> None:
    """Refuse what is not a finite number of at least 0."""
    if not _is_number(value) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{what} must be a finite number of at least 0, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Extent:
    """The bounds of a schedule: at most so many requests, none later than so many seconds. None does not bound."""

    num_requests: int | None
    duration_s: float | None

    def __post_init__(self) -> None:
        count = self.num_requests
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"num_requests must be a whole number of at least 1, got {count!r}")
        if count is not None and count > MAX_ARRIVALS:
            raise ValueError(f"num_requests must be at most {MAX_ARRIVALS:,}, got {count:,}: split the run")
        if self.duration_s is not None:
            check_positive("duration_s", self.duration_s)

    def require_bound(self, process: str) -> None:
        """Refuse to go on for ever."""
        if self.num_requests is None and self.duration_s is None:
            raise ValueError(f"a {process} process never ends: give num_requests, duration_s or both")

    def clip(self, arrivals_ns: Nanoseconds) -> Nanoseconds:
        """Those of the sorted `arrivals_ns` that lie within both bounds, the end of the duration included."""
        count = len(arrivals_ns)
        if self.duration_s is not None:
            end_ns = round(min(self.duration_s * NS_PER_S, MAX_NS))
            count = int(np.searchsorted(arrivals_ns, end_ns, side="right"))
        if self.num_requests is not None:
            count = min(count, self.num_requests)
        return arrivals_ns[:count]


def to_ns(times_s: Floats) -> Nanoseconds:
    """Sorted seconds as sorted integer nanoseconds, rounded to the nearest."""
    if len(times_s) and not times_s[-1] < MAX_NS / NS_PER_S:
        raise ValueError(
            f"the last arrival would come after {times_s[-1]:.3g} s, more than a clock of nanoseconds holds: "
            "raise the rate or lower num_requests"
        )
    return np.rint(times_s * NS_PER_S).astype(np.int64)


def running_sums(draw: Callable[[int], Floats], count: int | None, until: float) -> Floats:
    """Running sums of gaps of mean 1 from `draw(size)`: at most `count`, and all that are at most `until`.

    The sums are added one after the other, so a longer answer begins with the shorter one, bit by bit.
    """
    wanted = until if count is None else min(count, until)
    if wanted > MAX_ARRIVALS:
        raise ValueError(
            f"about {wanted:.3g} arrivals are asked for, at most {MAX_ARRIVALS:,} fit: lower rate or duration"
        )
    parts: list[Floats] = []
    drawn, last = 0, 0.0
    size = int(wanted + 5 * math.sqrt(wanted)) + 16  # so that one draw is nearly always enough for a Poisson process
    while last <= until and (count is None or drawn < count):
        if count is not None:
            size = min(size, count - drawn)
        if drawn > MAX_ARRIVALS:
            raise ValueError(f"more than {MAX_ARRIVALS:,} arrivals: lower rate, duration or burstiness")
        gaps = draw(size)
        gaps[0] += last
        parts.append(np.cumsum(gaps, out=gaps))
        drawn, last = drawn + size, float(gaps[-1])
    sums = np.concatenate(parts) if parts else np.empty(0)
    return sums[: np.searchsorted(sums, until, side="right")]
