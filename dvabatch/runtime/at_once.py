"""Chains of stages on several tracks of a device at once: what share of it each takes, how they slow each other down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Final

from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from dvabatch.batching.profile import NS_PER_MS
from dvabatch.runtime.device_launcher import DeviceLauncher

_SHARE_FLOOR: Final = 0.05
_DEEP: Final = 12  # chains queued on each track
_ALIKE: Final = 0.1  # sums of shares that differ by less tell of the same point of the slowdown curve


class AtOnce:
    """Measures them."""

    def __init__(
        self,
        launcher: DeviceLauncher,
        limits: Limits,
        budget_s: float,
        rounds: int,
        progress: Callable[[str], None],
    ) -> None:
        """Work of `budget_s` or so for each figure, `rounds` times."""
        self._launcher = launcher
        self._limits = limits
        self._budget_s = budget_s
        self._rounds = rounds
        self._progress = progress

    @property
    def counts(self) -> list[int]:
        """How many launches at once are tried."""
        most = min(self._limits.executors_per_stage, self._limits.buffer_sets)
        return [count for count in (2, 4, 8) if count <= most]

    def measure(
        self, sizes: Sequence[int], chains_ms: Sequence[Mapping[int, float]]
    ) -> tuple[list[dict[int, float]], Curve | None]:
        """Device shares by lane, and the slowdown curve.

        As many chains as may run at once tell the share: c of them that slow each other down by s take s/c of the device
        each. All numbers of them, and pairs of different sizes, tell by how much a sum of shares slows down: kernels get into
        each other's way long before the device is full. All of it is told by chains one behind the other, at whatever clock
        the device has meanwhile.
        """
        counts = self.counts
        if not counts:
            return [dict.fromkeys(sizes, 1.0) for _ in chains_ms], None
        shares: list[dict[int, float]] = []
        found: list[tuple[float, float]] = []
        for lane, chain_ms in enumerate(chains_ms):
            of_lane: dict[int, float] = {}
            for size in sizes:
                self._progress(f"running several at once, {lane_name(self._limits, lane)}batch {size}")
                slow = {count: max(1.0, self._at_once_ms([size] * count, lane) / chain_ms[size]) for count in counts}
                of_lane[size] = min(1.0, max(_SHARE_FLOOR, slow[counts[-1]] / counts[-1]))
                found += [(count * of_lane[size], slowness) for count, slowness in slow.items()]
            shares.append(of_lane)
        for one, other in combinations(sizes[::2], 2):
            self._progress(f"running two at once, batch {one} beside {other}")
            found.append((shares[0][one] + shares[0][other], self._pair_slowness(one, other, chains_ms[0])))
        return shares, rising(found)

    def _at_once_ms(self, sizes: Sequence[int], lane: int, repeats: Sequence[int] | None = None) -> float:
        """A chain of each of these sizes (or some in a row) on a track and in a set of its own, again and again.

        All are always busy. Queued deep: what the host takes to queue them must not pass for room on the device.
        """
        repeats = repeats or [1] * len(sizes)
        last = self._limits.last_stage
        places = [Place(index, 0, size) for index, size in enumerate(sizes)]
        for index, place in enumerate(places):
            self._launcher.repeat(index, 0, last, place, lane)
            self._launcher.synchronize(index)
        times = []
        for _ in range(self._rounds):
            began_ns = time.perf_counter_ns()
            for _ in range(_DEEP):
                for index, place in enumerate(places):
                    for _ in range(repeats[index]):
                        self._launcher.repeat(index, 0, last, place, lane)
            for index in range(len(places)):
                self._launcher.synchronize(index)
            times.append((time.perf_counter_ns() - began_ns) / NS_PER_MS / _DEEP)
        return median(times)

    def _pair_slowness(self, one: int, other: int, chain_ms: Mapping[int, float]) -> float:
        """By how much two tracks slow down, each of which has chains of one size for as long as the other."""
        repeats = max(1, round(chain_ms[other] / chain_ms[one]))
        alone_ms = max(repeats * chain_ms[one], chain_ms[other])
        return max(1.0, self._at_once_ms([one, other], 0, [repeats, 1]) / alone_ms)


def lane_name(limits: Limits, lane: int) -> str:
    """A lane as progress tells of it."""
    length = limits.lanes[lane]
    return "" if length is None else f"length {length}, "


def rising(found: Sequence[tuple[float, float]]) -> Curve:
    """A curve that never falls through (sum of shares or number at once, slowdown): medians of those that lie close to each
    other."""
    near: dict[int, list[tuple[float, float]]] = {}
    for total, slowness in found:
        near.setdefault(round(total / _ALIKE), []).append((total, slowness))
    points: list[tuple[float, float]] = []
    for _, group in sorted(near.items()):
        slowness = median(each for _, each in group)
        points.append((round(median(total for total, _ in group), 4), max(slowness, points[-1][1] if points else 1.0)))
    return Curve(tuple(points))
