"""Worker threads: each takes a job at a time; one more is started only when all are taken.

Where jobs compute on one core each, there is a thread for each core, which it keeps, and further jobs wait their turn: two on
one core would both be late. A thread cannot be ended from outside. One that hangs is abandoned: nobody waits for it, and should
it come back it ends.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeAlias

from engines.cores import stay_on
from engines.priority import give_way

_GRACE_S = 0.2  # for those that were abandoned and may have come back
_Jobs: TypeAlias = "SimpleQueue[Callable[[], None] | None]"


class _Seat:
    """A core, and the thread that has it."""

    def __init__(self, core: int) -> None:
        self.core = core
        self.jobs: _Jobs = SimpleQueue()
        self.thread: threading.Thread | None = None


class Workers:
    """Runs jobs on threads. Jobs must not raise: they report through events."""

    def __init__(self, name: str, cores: Sequence[int] = ()) -> None:
        """With `cores`, as many jobs run at a time; without, as many as come, where the system puts them."""
        self._name = name
        self._seats = [_Seat(core) for core in cores]
        self._free = self._seats[::-1]  # the one that was left last is taken next: its core is awake
        self._waiting: deque[Callable[[], None]] = deque()
        self._jobs: _Jobs = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._abandoned: list[threading.Thread] = []
        self._started = 0
        self._spare = 0
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        """Runs the job soon, on a thread that has nothing to do."""
        with self._lock:
            if self._free:
                self._seat(self._free.pop(), job)
                return
            if self._seats:
                self._waiting.append(job)
                return
            if self._spare == 0:
                self._start(self._work)
            else:
                self._spare -= 1
        self._jobs.put(job)

    def _seat(self, seat: _Seat, job: Callable[[], None]) -> None:
        """Gives a job to a core that is free; the lock is held."""
        if seat.thread is None:
            seat.thread = self._start(lambda: self._sit(seat))
        seat.jobs.put(job)

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name=f"{self._name}-{self._started}", daemon=True)
        self._started += 1
        self._threads.append(thread)
        thread.start()
        return thread

    def abandon(self, thread: threading.Thread) -> None:
        """This thread hangs in its job: no other job goes to it."""
        with self._lock:
            self._threads.remove(thread)
            self._abandoned.append(thread)
            for index, seat in enumerate(self._seats):
                if seat.thread is thread:  # what hangs may still compute there, but nobody knows
                    seat.jobs.put(None)
                    fresh = self._seats[index] = _Seat(seat.core)
                    if self._waiting:
                        self._seat(fresh, self._waiting.popleft())
                    else:
                        self._free.append(fresh)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Ends the threads when their jobs are done; all of them together get this time. One that hangs is left behind, for
        threads are daemons: False if there is such a one."""
        with self._lock:
            for jobs in (
                *(seat.jobs for seat in self._seats),
                *(self._jobs for _ in (*self._threads, *self._abandoned)),
            ):
                jobs.put(None)
        _join(self._threads, timeout_s)
        _join(self._abandoned, _GRACE_S)
        return not any(thread.is_alive() for thread in (*self._threads, *self._abandoned))

    def _sit(self, seat: _Seat) -> None:
        stay_on(seat.core)
        give_way()
        while (job := seat.jobs.get()) is not None:
            while job is not None:
                job()
                with self._lock:
                    if threading.current_thread() in self._abandoned:
                        return
                    job = self._waiting.popleft() if self._waiting else None
                    if job is None:
                        self._free.append(seat)

    def _work(self) -> None:
        give_way()
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                if threading.current_thread() in self._abandoned:
                    return
                self._spare += 1


def _join(threads: list[threading.Thread], timeout_s: float) -> None:
    until_s = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
