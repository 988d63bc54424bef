"""A GPU's clock while runs go on, or a profile is measured, noted by a process of its own.

The driver's thread never rests, and whoever asks the library keeps it waiting. So another process asks, and writes down what it
hears and when: by the same monotonic clock, which all processes of a system share.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from dvabatch_cli.gpu_watch import handle_of

_EVERY_S: Final = 0.025
_PARTS: Final = 10
_PATIENCE_S: Final = 10.0  # until the first note: Python and the library have to be loaded
_LOOK_S: Final = 0.01


class ClockNotes:
    """Notes of one GPU, as they are written."""

    def __init__(self, file: IO[str]) -> None:
        """`file` is what another process writes to: a line a note, an instant in nanoseconds and a clock in MHz."""
        self._file = file
        self._unfinished = ""
        self._notes: list[tuple[int, int]] = []

    def heard(self) -> bool:
        """Whether there is any note."""
        self._read()
        return bool(self._notes)

    def mean_mhz(self, begun_ns: int, ended_ns: int) -> float | None:
        """The mean clock between these instants; None where nothing was noted. Notes of before are forgotten."""
        return _mean(self._since(begun_ns), begun_ns, ended_ns)

    def by_tenth(self, begun_ns: int, ended_ns: int) -> list[int | None]:
        """The mean clock in MHz in each tenth of what lies between these instants; None where nothing was noted.

        Notes of before are forgotten.
        """
        return tenths(self._since(begun_ns), begun_ns, ended_ns)

    def _since(self, begun_ns: int) -> Sequence[tuple[int, int]]:
        self._read()
        self._notes = [note for note in self._notes if note[0] >= begun_ns]
        return self._notes

    def _read(self) -> None:
        *lines, self._unfinished = (self._unfinished + self._file.read()).split("\n")
        for line in lines:
            at_ns, mhz = line.split()
            self._notes.append((int(at_ns), int(mhz)))


def tenths(notes: Sequence[tuple[int, int]], begun_ns: int, ended_ns: int) -> list[int | None]:
    """Means of what was noted in each tenth from one instant to another, which is no part of it."""
    found: list[list[int]] = [[] for _ in range(_PARTS)]
    for at_ns, mhz in notes:
        if begun_ns <= at_ns < ended_ns:
            found[_PARTS * (at_ns - begun_ns) // (ended_ns - begun_ns)].append(mhz)
    return [round(sum(part) / len(part)) if part else None for part in found]


def _mean(notes: Sequence[tuple[int, int]], begun_ns: int, ended_ns: int) -> float | None:
    found = [mhz for at_ns, mhz in notes if begun_ns <= at_ns < ended_ns]
    return sum(found) / len(found) if found else None


@contextmanager
def kept_clock_notes(say: Callable[[str], None], bus_id: str | None) -> Iterator[ClockNotes | None]:
    """Notes are taken while the block runs, of the GPU that sits there (of the first one where nobody says); None where they
    cannot be, which is said."""
    command = [
        sys.executable,
        "-m",
        "dvabatch_cli.clock_notes",
        str(os.getpid()),
        *([] if bus_id is None else [bus_id]),
    ]
    with ExitStack() as opened:
        path = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "notes"
        written, read = opened.enter_context(path.open("w")), opened.enter_context(path.open())
        writer = opened.enter_context(
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.PIPE, encoding="utf-8"
            )
        )
        opened.callback(writer.kill)
        notes = ClockNotes(read)
        if _began(writer, notes):
            yield notes
        else:
            writer.kill()
            assert writer.stderr is not None
            said = writer.stderr.read().strip().splitlines() or ["nothing was heard of it"]
            say(f"the GPU's clock is not noted meanwhile: {said[-1]}")
            yield None


def _began(writer: subprocess.Popen[str], notes: ClockNotes) -> bool:
    """Waits for the first note; False if none comes."""
    until_s = time.monotonic() + _PATIENCE_S
    while not notes.heard():
        if writer.poll() is not None or time.monotonic() > until_s:
            return False
        time.sleep(_LOOK_S)
    return True


def take_notes(parent: int, bus_id: str | None) -> None:
    """Writes the clock of a GPU to standard output, again and again, until `parent`, which started this process, has gone.

    Raises:
        ImportError: NVIDIA's management library has no Python binding here.
        Exception: whatever error of its own it raises where there is no such GPU, or it does not tell.
    """
    nvml = importlib.import_module("pynvml")
    nvml.nvmlInit()
    handle = handle_of(nvml, bus_id)
    while os.getppid() == parent:
        time.sleep(_EVERY_S)
        try:
            mhz = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
        except nvml.NVMLError:
            continue  # a tenth of which nothing is noted says so
        print(time.perf_counter_ns(), mhz, flush=True)


if __name__ == "__main__":
    take_notes(int(sys.argv[1]), next(iter(sys.argv[2:]), None))
