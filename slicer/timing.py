"""Measured times of the parts of a model, taken so that other load on the machine seldom shows.

The parts run as a chain, each handing real values to the next, over and over: a burst of other load then falls on
one run of a few parts and not on every run of one, and the best run of a part hides it. What other processes add to
a run is never negative.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, TypeAlias

import numpy as np

from slicer.samples import Array, Values

WARM_UPS = 2  # of each batch size: the first run plans its memory, the second allocates it
MOST_RUNS = 24
Clock: TypeAlias = Callable[[], float]  # seconds, from any beginning


class Runner(Protocol):
    """What a session is to a chain."""

    def run(self, feeds: Mapping[str, Array]) -> Values:
        """Every output by name."""


@dataclass(frozen=True, slots=True)
class Link:
    """A part of a chain, ready to run: what it reads, and what the rest of the chain reads."""

    session: Runner
    inputs: tuple[str, ...]
    carried: frozenset[str]


@dataclass(frozen=True, slots=True)
class Runs:
    """Seconds of each run of each part: `seconds[batch][run][part]`."""

    seconds: Mapping[int, Sequence[Sequence[float]]]

    def best_ms(self) -> list[dict[int, float]]:
        """The best run of each part by batch size, in milliseconds."""
        best = {size: np.min(runs, axis=0) * 1e3 for size, runs in self.seconds.items()}
        parts = len(next(iter(best.values())))
        return [{size: float(best[size][part]) for size in sorted(best)} for part in range(parts)]

    def total_ms(self, size: int) -> float:
        """The best run of the whole chain at batch `size`, in milliseconds."""
        return min(sum(run) for run in self.seconds[size]) * 1e3

    def noise(self) -> float:
        """By how much two halves of the runs disagree on where in the chain any share of its time is reached.

        A share of the whole's time; a stage between two cuts is uncertain by about as much.
        """
        halves = [
            Runs({size: runs[half::2] or runs for size, runs in self.seconds.items()}).best_ms() for half in (0, 1)
        ]
        first, second = (list(accumulate(shares(half))) for half in halves)
        return max(abs(one - other) for one, other in zip(first, second, strict=True))


def shares(latencies_ms: Sequence[Mapping[int, float]]) -> list[float]:
    """Each part's share of the whole's time, averaged over the batch sizes."""
    sizes = sorted(latencies_ms[0])
    totals = {size: sum(latency[size] for latency in latencies_ms) or 1.0 for size in sizes}
    return [sum(latency[size] / totals[size] for size in sizes) / len(sizes) for latency in latencies_ms]


def batch_sizes(largest: int) -> tuple[int, ...]:
    """1, 2, 4 ... and `largest` itself."""
    powers = (2**exponent for exponent in range(largest.bit_length()))
    return tuple(sorted({*powers, largest}))


def time_chain(
    chain: Sequence[Link],
    row: Values,
    sizes: Sequence[int],
    budget_s: float,
    *,
    least_runs: int = 1,
    now_s: Clock = time.perf_counter,
) -> Runs:
    """Run the chain on one row, repeated to each of `sizes`, in turns.

    After warming up each size gets an equal part of the budget, and `least_runs` at least: small batches, whose runs
    are short, run more often.
    """
    feeds = {size: {name: np.repeat(value, size, axis=0) for name, value in row.items()} for size in sizes}
    found: dict[int, list[list[float]]] = {size: [] for size in sizes}
    spent_s = dict.fromkeys(sizes, 0.0)
    largest_first = sorted(sizes, reverse=True)  # what they allocate then serves the others
    for size in largest_first * WARM_UPS:
        _run(chain, feeds[size], now_s)
    for _ in range(MOST_RUNS):
        for size in largest_first:
            if len(found[size]) < least_runs or spent_s[size] < budget_s / len(sizes):
                found[size].append(_run(chain, feeds[size], now_s))
                spent_s[size] += sum(found[size][-1])
    return Runs(found)


def _run(chain: Sequence[Link], feeds: Values, now_s: Clock) -> list[float]:
    values = dict(feeds)
    took_s = []
    for link in chain:
        given = {name: values[name] for name in link.inputs}
        began_s = now_s()
        made = link.session.run(given)
        took_s.append(now_s() - began_s)
        values.update(made)
        values = {name: value for name, value in values.items() if name in link.carried}
    return took_s
