"""Where to look for the highest rate that holds an objective: an exponential bracket, then bisection.

Everything here is a function of what is known so far, rate by rate, so that a search that was interrupted goes on by asking
again. Rates that could not be told apart from the limit (OPEN) lie inside the bracket: both of its edges are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What runs at a rate have shown."""

    HOLDS = "holds"  # the objective is met, beyond doubt
    MISSES = "misses"  # it is not, though the backlog comes back
    OVERLOADED = "overloaded"  # it is not, and the backlog grows for good
    OPEN = "open"  # all runs together cannot tell

    @property
    def fails(self) -> bool:
        return self in {Verdict.MISSES, Verdict.OVERLOADED}


Judged = Mapping[float, Verdict]


@dataclass(frozen=True, slots=True)
class Bracket:
    """The highest rate that holds, and the lowest above it that does not; None where there is none."""

    low_rps: float | None
    high_rps: float | None


def bracket(judged: Judged) -> Bracket:
    """What is known. A policy that waits for company may miss an objective below the bracket, where company is rare."""
    low = max((rate for rate, verdict in judged.items() if verdict is Verdict.HOLDS), default=None)
    high = min(
        (rate for rate, verdict in judged.items() if verdict.fails and (low is None or rate > low)), default=None
    )
    return Bracket(low, high)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where a search begins, how far down and up it goes, and how narrow its bracket has to be.

    `tolerance` is the widest gap between neighbours of different verdict, as a part of the upper one.
    """

    start_rps: float
    floor_rps: float
    ceiling_rps: float
    tolerance: float

    def __post_init__(self) -> None:
        if not 0 < self.floor_rps <= self.start_rps <= self.ceiling_rps:
            raise ValueError(
                f"a search from {self.start_rps} between {self.floor_rps} and {self.ceiling_rps} queries/s: wanted "
                "0 < floor <= start <= ceiling"
            )
        if not 1e-3 <= self.tolerance <= 0.5:  # rates have six digits
            raise ValueError(f"a tolerance of {self.tolerance}: wanted 0.001 to 0.5")

    def next_rate(self, judged: Judged) -> float | None:
        """The rate to look at next; None if nothing more is to be learnt within these bounds."""
        if not judged:
            return _plain(self.start_rps)
        edges = bracket(judged)
        if edges.low_rps is None:
            return self._down(judged) or self._up(judged)
        if edges.high_rps is None:
            return self._up(judged)
        return self._between(judged, edges.low_rps, edges.high_rps)

    def _down(self, judged: Judged) -> float | None:
        """Half as far, down to the floor."""
        lowest, floor = min(judged), _plain(self.floor_rps)
        if self._next_to(floor, lowest):
            return None
        half = _plain(lowest / 2)
        return floor if self._next_to(floor, half) else half

    def _up(self, judged: Judged) -> float | None:
        """Twice as far, up to the ceiling; beyond an overload nothing holds."""
        highest, ceiling = max(judged), _plain(self.ceiling_rps)
        if self._next_to(highest, ceiling) or judged[highest] is Verdict.OVERLOADED:
            return None
        double = _plain(2 * highest)
        return ceiling if self._next_to(double, ceiling) else double

    def _between(self, judged: Judged, low: float, high: float) -> float | None:
        """Halves the wider of the gaps beside what is open, or the only one."""
        still_open = [rate for rate in judged if low < rate < high]
        gaps = [(low, min(still_open)), (max(still_open), high)] if still_open else [(low, high)]
        below, above = max(gaps, key=lambda gap: 1 - gap[0] / gap[1])
        return None if self._next_to(below, above) else _plain((below + above) / 2)

    def _next_to(self, below: float, above: float) -> bool:
        """Whether nothing is to be learnt between them; so too where they have passed each other."""
        return 1 - below / above <= self.tolerance


def _plain(rate_rps: float) -> float:
    """Six digits, as reports have them."""
    return float(f"{rate_rps:.6g}")
