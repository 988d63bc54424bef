"""Worker threads: each takes a job at a time; one more is started only when all are taken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from engines.priority import give_way


class Workers:
    """Runs jobs on threads. Jobs must not raise: they report through events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._spare = 0
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        """Runs the job soon, on a thread that has nothing to do."""
        with self._lock:
            if self._spare == 0:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            else:
                self._spare -= 1
        self._jobs.put(job)

    def close(self, timeout_s: float = 10.0) -> None:
        """Ends the threads when their jobs are done. One that hangs is left behind: threads are daemons."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self) -> None:
        give_way()
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._spare += 1
