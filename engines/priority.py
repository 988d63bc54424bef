"""Engines give way to the thread that decides.

On a machine whose engines fill every core, the driver waits for its turn when a query is due or a stage has ended: by the
system's time slice, several milliseconds. Threads that compute therefore lower their own priority a little, which needs no
privilege; they still get every cycle that the driver does not want.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_NICER = 5
_T = TypeVar("_T")


def give_way() -> None:
    """Lowers the priority of the calling thread, where the system has one for each thread (Linux)."""
    if sys.platform == "linux":
        if os.sched_getscheduler(0) != os.SCHED_OTHER:  # started by a thread that goes first
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICER)


@contextmanager
def going_first() -> Iterator[bool]:
    """The calling thread runs as soon as it is due, if the system lets it; says whether it does.

    Lower priorities are not enough where engines fill every core: Linux lets a thread use up its time slice, some
    milliseconds, before a normal one that wakes has its turn. A real-time one does not wait, but needs a privilege
    (root, CAP_SYS_NICE or RLIMIT_RTPRIO).
    """
    if sys.platform != "linux":
        yield False
        return
    before = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


def giving_way(action: Callable[[], _T]) -> _T:
    """Runs `action` on a thread of lower priority, which the threads that it starts inherit."""
    result: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        give_way()
        try:
            result.append(action())
        except BaseException as error:  # noqa: BLE001 -- handed to the caller's thread below
            errors.append(error)

    thread = threading.Thread(target=work, name="giving-way")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]
