"""The simulator's device: launches share it, and slow each other down when it is full.

Every launch goes through phases of (work in nanoseconds, device share). While two or more are in flight, all work slows down
by the profile's `slowdown(sum of their shares)`. A phase of share `HOST` is the host's, one of `TRANSFER` is on the way to the
device: each takes its time whatever runs there; with one thread and one line for all of them, they follow one another. One of
`ANSWER` is what the device takes to begin and to be heard of: nothing waits for it but its own launch.

All work on the device slows down alike, so one clock of *work done* serves for all of it: it runs slower than time while the
device is crowded, and a phase ends when that clock has advanced by its work. Nothing is updated but the clock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from dvabatch.runtime.instants import NEVER

Phases: TypeAlias = Sequence[tuple[int, int]]  # (work in ns, device share in parts of FULL, or HOST, TRANSFER, ANSWER)
HOST, TRANSFER, ANSWER = 0, -1, -2
_DONE_NS = 0.5  # what is left of a phase below this is rounding: instants are whole nanoseconds
FULL = 1_000_000  # a whole device; shares are integers, so that what was added is taken away exactly

_OnDevice: TypeAlias = tuple[float, int, int, Phases]  # (ends at by the work clock, launch, phase, all phases)
_OnHost: TypeAlias = tuple[int, int, int, Phases]  # (ends at by time, ...)


class DeviceModel:
    """Work in flight, advanced from instant to instant."""

    def __init__(self, slowdown: Callable[[float], float], *, one_host: bool = False) -> None:
        self._slowdown = slowdown
        self._one_host = one_host
        # When that one thread, and that line, will have done what they were given so far.
        self._free_ns = {HOST: -1, TRANSFER: -1}
        self._on_device: list[_OnDevice] = []  # a heap
        self._on_host: list[_OnHost] = []  # a heap
        self._shares = 0
        self._known: dict[int, float] = {}  # slowdown by shares: few sums occur, over and over
        self._slow = 1.0
        self._now_ns = 0
        self._work_ns = 0.0
        self._under_way = 0
        self._ended = -1, 0  # the last instant at which launches ended, and how many that none has followed since
        self.busy_ns = 0  # time with at least one launch on the device

    @property
    def next_ns(self) -> int:
        """When the next phase ends."""
        soonest = self._on_host[0][0] if self._on_host else NEVER
        if self._on_device:
            left_ns = math.ceil((self._on_device[0][0] - self._work_ns) * self._slow - 1e-3)
            end_ns = self._now_ns + left_ns if left_ns > 0 else self._now_ns
            return end_ns if end_ns < soonest else soonest
        return soonest

    @property
    def under_way(self) -> int:
        """How many launches have started and not ended."""
        return self._under_way

    @property
    def host_free_ns(self) -> int:
        """When one thread that does the host's part of all launches will be through with those that it was given: until then it
        hears of nothing. Before all time where each launch has a thread of its own."""
        return self._free_ns[HOST]

    def finds_idle(self, at_once: int, now_ns: int) -> bool:
        """Whether a launch that starts now takes a part of the device that was idle, where `at_once` launches have one each.

        What ends this instant leaves its part awake, for one launch.
        """
        ended_ns, ended = self._ended
        return self._under_way < at_once and (ended_ns < now_ns or ended <= 0)

    def start(self, launch_id: int, phases: Phases, now_ns: int) -> None:
        """Puts a launch on the device."""
        if now_ns != self._now_ns:
            self._tick(now_ns)
        self._under_way += 1
        self._ended = self._ended[0], self._ended[1] - 1
        self._enter(launch_id, 0, phases)

    def advance(self, now_ns: int) -> list[int]:
        """Brings all work to `now_ns`; answers with the launches that have ended, by id."""
        if now_ns != self._now_ns:
            self._tick(now_ns)
        finished: list[int] = []
        on_device, on_host = self._on_device, self._on_host
        done = self._work_ns + _DONE_NS
        if done == self._work_ns:  # after months of work without a pause the clock is too coarse for that
            done = math.nextafter(done, math.inf)
        while on_device and on_device[0][0] < done:  # no phase is so short that one entered now were done
            _, launch_id, phase, phases = heapq.heappop(on_device)
            shares = self._shares = self._shares - phases[phase][1]
            self._slow = 1.0 if len(on_device) < 2 else self._slowness(shares)
            if phase + 1 == len(phases):
                finished.append(launch_id)
            else:
                self._enter(launch_id, phase + 1, phases)
        while on_host and on_host[0][0] <= now_ns:  # the device follows
            _, launch_id, phase, phases = heapq.heappop(on_host)
            self._enter(launch_id, phase + 1, phases)
        if finished:
            self._note_ends(now_ns, len(finished))
            if len(finished) > 1:
                finished.sort()
        return finished

    def _note_ends(self, now_ns: int, count: int) -> None:
        self._under_way -= count
        ended_ns, ended = self._ended
        self._ended = now_ns, count + (max(0, ended) if ended_ns == now_ns else 0)

    def _tick(self, now_ns: int) -> None:
        elapsed = now_ns - self._now_ns
        self._now_ns = now_ns
        if self._on_device:
            self._work_ns += elapsed / self._slow
            self.busy_ns += elapsed
        else:
            self._work_ns = 0.0  # nothing counts by it now: keep it small, and so exact

    def _enter(self, launch_id: int, phase: int, phases: Phases) -> None:
        work_ns, share = phases[phase]
        if share > 0:
            heapq.heappush(self._on_device, (self._work_ns + work_ns, launch_id, phase, phases))
            shares = self._shares = self._shares + share
            self._slow = 1.0 if len(self._on_device) < 2 else self._slowness(shares)
        else:
            self._enter_line(launch_id, phase, phases)

    def _enter_line(self, launch_id: int, phase: int, phases: Phases) -> None:
        work_ns, line = phases[phase]
        begin_ns = self._now_ns
        if self._one_host and line != ANSWER:
            begin_ns = max(begin_ns, self._free_ns[line])
            self._free_ns[line] = begin_ns + work_ns
        heapq.heappush(self._on_host, (begin_ns + work_ns, launch_id, phase, phases))

    def _slowness(self, shares: int) -> float:
        slow = self._known.get(shares)
        if slow is None:
            slow = self._known[shares] = self._slowdown(shares / FULL)
        return slow
