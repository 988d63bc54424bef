"""Worker threads: each takes a job at a time; one more is started only when all are taken.

A thread cannot be ended from outside. One that hangs is abandoned: nobody waits for it, and should it come back it ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from engines.priority import give_way

_GRACE_S = 0.2  # for those that were abandoned and may have come back


class Workers:
    """Runs jobs on threads. Jobs must not raise: they report through events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._abandoned: list[threading.Thread] = []
        self._started = 0
        self._spare = 0
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        """Runs the job soon, on a thread that has nothing to do."""
        with self._lock:
            if self._spare == 0:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True)
                self._started += 1
                self._threads.append(thread)
                thread.start()
            else:
                self._spare -= 1
        self._jobs.put(job)

    def abandon(self, thread: threading.Thread) -> None:
        """This thread hangs in its job: no other job goes to it."""
        with self._lock:
            self._threads.remove(thread)
            self._abandoned.append(thread)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Ends the threads when their jobs are done; all of them together get this time. One that hangs is left behind, for
        threads are daemons: False if there is such a one."""
        with self._lock:
            for _ in (*self._threads, *self._abandoned):
                self._jobs.put(None)
        _join(self._threads, timeout_s)
        _join(self._abandoned, _GRACE_S)
        return not any(thread.is_alive() for thread in (*self._threads, *self._abandoned))

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
