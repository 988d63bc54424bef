"""Keeps cores awake.

A core of a virtual machine that sleeps is placed anew by its host when it wakes: at times beside another one of the same
machine, on one physical core. For up to some hundred milliseconds two launches then take 1.7 times as long each, while one
alone shows nothing of it. A core that never sleeps stays where it is.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from engines.cores import own_cores

# Linux runs such a process only where nothing else wants the core, and stops it at once for what does. It ends with its parent.
_LOOP: Final = """
import os, sys
parent = os.getppid()
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
print("awake", flush=True)
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


@contextmanager
def kept_awake() -> Iterator[bool]:
    """While the block runs, a process of the lowest priority on each core that this one may use; says whether all of them run.

    Systems other than Linux have none.
    """
    command = [sys.executable, "-I", "-S", "-c", _LOOP]
    loops = [
        subprocess.Popen([*command, str(core)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for core in own_cores()
    ]
    try:
        begun = [loop.stdout is not None and loop.stdout.readline() != b"" for loop in loops]  # waits for each
        yield bool(begun) and all(begun)
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.communicate()
