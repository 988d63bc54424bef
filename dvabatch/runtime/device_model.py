"""The simulator's device: launches share it, and slow each other down when it is full.

Every launch goes through phases of (work in nanoseconds, device share). While the shares in flight sum to more than 1, all
work slows down by the profile's `slowdown(sum)`. A phase of share 0 is the host's: it takes its time whatever runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

Phases: TypeAlias = Sequence[tuple[int, float]]
NEVER = 1 << 62
_DONE_NS = 0.5  # what is left of a phase below this is rounding: instants are whole nanoseconds


class _Work:
    __slots__ = ("launch_id", "left_ns", "phase", "phases", "share")

    def __init__(self, launch_id: int, phases: Phases) -> None:
        self.launch_id = launch_id
        self.phases = phases
        self.phase = 0
        self.left_ns, self.share = phases[0]

    left_ns: float


class DeviceModel:
    """Work in flight, advanced from instant to instant."""

    def __init__(self, slowdown: Callable[[float], float]) -> None:
        self._slowdown = slowdown
        self._active: list[_Work] = []
        self._slow = 1.0
        self._now_ns = 0
        self.next_ns = NEVER
        self.busy_ns = 0  # time with at least one launch on the device

    def start(self, launch_id: int, phases: Phases, now_ns: int) -> None:
        """Puts a launch on the device. `advance` must have brought the device to `now_ns`."""
        work = _Work(launch_id, phases)
        self._active.append(work)
        if len(self._active) == 1:
            self._now_ns = now_ns
        self._replan()

    def advance(self, now_ns: int) -> list[int]:
        """Brings all work to `now_ns`; answers with the launches that have ended, in the order they were started."""
        elapsed = now_ns - self._now_ns
        self._now_ns = now_ns
        slow, finished, changed, on_device = self._slow, [], False, False
        for work in self._active:
            if work.share > 0.0:
                on_device = True
                work.left_ns -= elapsed / slow
            else:
                work.left_ns -= elapsed
            while work.left_ns < _DONE_NS:
                changed = True
                work.phase += 1
                if work.phase == len(work.phases):
                    finished.append(work.launch_id)
                    break
                work.left_ns, work.share = work.phases[work.phase]
        if on_device:
            self.busy_ns += elapsed
        if finished:
            self._active = [work for work in self._active if work.phase < len(work.phases)]
        if changed:
            self._replan()
        return finished

    def _replan(self) -> None:
        """Shares have changed: how slow everything is now, and when the next phase ends."""
        active = self._active
        if not active:
            self._slow, self.next_ns = 1.0, NEVER
            return
        shares = 0.0
        for work in active:
            shares += work.share
        slow = self._slow = self._slowdown(shares) if shares > 1.0 else 1.0
        soonest = min(work.left_ns * slow if work.share > 0.0 else work.left_ns for work in active)
        self.next_ns = self._now_ns + math.ceil(soonest - 1e-6)
