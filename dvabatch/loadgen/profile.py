"""Rates that change in the course of a run."""

import numpy as np

from dvabatch.loadgen.extent import Floats


class RateProfile:
    """A rate that is constant piece by piece, and its integral: the number of hits expected until a time.

    Unit Poisson arrivals, read as hits and taken back to time, are Poisson arrivals at that rate. Only the pattern in
    hits is random, so the same seed gives the same pattern at any scale.
    """

    def __init__(self, durations_s: Floats, rates_rps: Floats) -> None:
        self._rates = rates_rps
        self._times = np.concatenate([[0.0], np.cumsum(durations_s)])
        self._hits = np.concatenate([[0.0], np.cumsum(durations_s * rates_rps)])

    @property
    def total_s(self) -> float:
        return float(self._times[-1])

    @property
    def total_hits(self) -> float:
        return float(self._hits[-1])

    def hits_at(self, time_s: float) -> float:
        return float(np.interp(time_s, self._times, self._hits))

    def times_s(self, hits: Floats) -> Floats:
        """When each of the sorted `hits`, all below `total_hits`, happens. A piece of rate 0 holds none."""
        piece = np.searchsorted(self._hits, hits, side="right") - 1
        times: Floats = self._times[piece] + (hits - self._hits[piece]) / self._rates[piece]
        # Rounding must not carry a hit past the first of the next piece.
        np.minimum(times, self._times[piece + 1], out=times)
        return times
