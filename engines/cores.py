"""Threads that compute stay on a core each.

A launch of some milliseconds is over before Linux has noticed that it shares a core with another one while the next core
is idle: whoever is woken goes where it or its waker last ran, and is moved only by and by. Both then take twice as long.
"""

from __future__ import annotations

import os
import sys


def own_cores() -> tuple[int, ...]:
    """The cores that this process may use; none where the system does not let a thread choose."""
    return tuple(sorted(os.sched_getaffinity(0))) if sys.platform == "linux" else ()


def stay_on(core: int) -> None:
    """Keeps the calling thread on this core."""
    if sys.platform == "linux":
        try:
            os.sched_setaffinity(0, {core})
        except OSError:
            return  # it was taken from this process meanwhile: the thread goes where the system puts it, as without all this
