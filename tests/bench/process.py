"""A command in a process of its own, and the memory it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command went. `peak_bytes` is the kernel's own record of what the process held at most, as last seen before it
    ended; `tree_bytes` the largest sum over the process and its children that sampling saw (a shared page counts for each)."""

    code: int
    peak_bytes: int
    tree_bytes: int
    took_s: float
    text: str


def dvabatch(
    arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, sample_s: float = 0.05
) -> Ended:
    """Runs `dvabatch ARGUMENTS` on this interpreter.

    Raises:
        RuntimeError: it ended with another exit code than 0, or 4 (a run was invalid; the rest is as usual).
    """
    command = [sys.executable, "-m", "dvabatch_cli", *arguments]
    with tempfile.TemporaryFile() as log:
        began_s = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        peak = tree = 0
        while True:
            gone, status = os.waitpid(process.pid, os.WNOHANG)
            if gone:
                break
            peak, tree = max(peak, _peak_bytes(process.pid)), max(tree, _tree_bytes(process.pid))
            time.sleep(sample_s)
        process.returncode = os.waitstatus_to_exitcode(status)
        took_s = time.perf_counter() - began_s
        log.seek(0)
        text = log.read().decode(errors="replace")
    if process.returncode not in {0, 4}:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}:\n{text[-2000:]}")
    return Ended(process.returncode, peak, tree, took_s, text)


def _peak_bytes(pid: int) -> int:
    """The high-water mark of what runs now. `wait4` says more where the caller is larger: a child starts as a copy of it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended between two looks
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def _tree_bytes(root: int) -> int:
    """Resident bytes of a process and everything below it."""
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError, IndexError):
            continue  # it ended between two looks
    return total
