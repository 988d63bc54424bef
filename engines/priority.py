"""Engines give way to the thread that decides.

On a machine whose engines fill every core, the driver waits for its turn when a query is due or a stage has ended: by the
system's time slice, several milliseconds. Threads that compute therefore lower their own priority a little, which needs no
privilege; they still get every cycle that the driver does not want.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

_NICER = 5
_T = TypeVar("_T")


def give_way() -> None:
    """Lowers the priority of the calling thread, where the system has one for each thread (Linux)."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICER)


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
