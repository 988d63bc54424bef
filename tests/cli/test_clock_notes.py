"""A GPU's clock, noted by another process; NVIDIA's library is a hand-written stand-in there."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dvabatch_cli.clock_notes import ClockNotes, kept_clock_notes, tenths

# Each answer is one lower than the one before.
LIBRARY = """
NVML_CLOCK_SM = 1
told = 2000

class NVMLError(Exception):
    pass

def nvmlInit():
    pass

def nvmlDeviceGetHandleByIndex(index):
    assert index == 0

def nvmlDeviceGetHandleByPciBusId(bus_id):
    if bus_id != "0000:3B:00.0":
        raise RuntimeError(f"there is no GPU {bus_id}")

def nvmlDeviceGetClockInfo(handle, which):
    global told
    assert which == NVML_CLOCK_SM
    told -= 1
    if told % 5 == 0:
        raise NVMLError("not now")
    return told
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For processes that are started."""
    (tmp_path / "pynvml.py").write_text(LIBRARY)
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(root))))


@pytest.mark.parametrize(
    ("notes", "expected"),
    [("", None), ("5 1980\n", None), ("5 1980\n10 1900\n19 1700\n20 1500\n", 1800)],  # what ends is no part of it
)
def test_a_span_has_a_mean_clock(notes: str, expected: float | None) -> None:
    assert ClockNotes(io.StringIO(notes)).mean_mhz(10, 20) == expected


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], [None] * 10),
        ([(100, 7), (199, 8), (200, 9)], [7, *[None] * 8, 8]),  # what ends is no part of it, nor what was before
        ([(99, 1), (100, 10), (105, 20), (109, 40), (150, 5)], [23, None, None, None, None, 5, *[None] * 4]),
    ],
)
def test_a_run_has_ten_tenths(notes: list[tuple[int, int]], expected: list[int | None]) -> None:
    assert tenths(notes, 100, 200) == expected
    assert tenths(notes, 100, 100) == [None] * 10  # nothing was answered


def test_notes_are_read_as_they_come_half_written_ones_too() -> None:
    file = io.StringIO()
    notes = ClockNotes(file)

    def write(text: str) -> None:
        at = file.tell()
        file.write(text)
        file.seek(at)

    assert not notes.heard()
    write("105 19")
    assert not notes.heard()
    write("80\n250 1400\n1")
    assert notes.heard()
    assert notes.by_tenth(100, 200) == [1980, *[None] * 9]
    write("90 1500\n299 900\n")
    assert notes.by_tenth(200, 300) == [None] * 5 + [1400, None, None, None, 900]
    assert notes.by_tenth(100, 200) == [None] * 10  # forgotten


@pytest.mark.parametrize("bus_id", [None, "0000:3B:00.0"])
def test_another_process_notes_the_clock_while_the_block_runs(library: None, bus_id: str | None) -> None:
    begun_ns, said = time.perf_counter_ns(), list[str]()
    with kept_clock_notes(said.append, bus_id) as notes:
        assert notes is not None
        until_s = time.monotonic() + 30
        clocks: list[int] = []
        while len(clocks) < 2 and time.monotonic() < until_s:
            time.sleep(0.05)
            now_ns = time.perf_counter_ns()
            clocks += [mhz for mhz in notes.by_tenth(begun_ns, now_ns) if mhz is not None]
            begun_ns = now_ns
    assert said == []
    assert len(clocks) >= 2
    assert 2000 > clocks[0] > clocks[-1] > 1000


@pytest.mark.parametrize(
    ("bus_id", "reason"), [("1", "RuntimeError: there is no GPU 1"), (None, "No module named 'pynvml'")]
)
def test_where_no_clock_can_be_noted_it_is_said_why(
    library: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bus_id: str | None, reason: str
) -> None:
    if "pynvml" in reason:
        (tmp_path / "pynvml.py").write_text("raise ModuleNotFoundError(\"No module named 'pynvml'\")")
    said: list[str] = []
    with kept_clock_notes(said.append, bus_id) as notes:
        assert notes is None
    (line,) = said
    assert line.startswith("the GPU's clock is not noted meanwhile: ")
    assert line.endswith(reason)


def test_who_takes_notes_ends_with_whoever_started_it(library: None, tmp_path: Path) -> None:
    parent = (
        "import os, subprocess, sys, time\n"
        "words = [sys.executable, '-m', 'dvabatch_cli.clock_notes', str(os.getpid())]\n"
        "with open(sys.argv[1], 'w') as file:\n"  # as in use: who writes to a pipe ends with its reader anyway
        "    notes = subprocess.Popen(words, stdout=file, stderr=subprocess.DEVNULL)\n"
        "while not os.path.getsize(sys.argv[1]):\n"
        "    time.sleep(0.01)\n"
        "print(notes.pid, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent, str(tmp_path / "notes")], capture_output=True, text=True, timeout=60, check=True
    )
    pid = int(done.stdout)
    until_s = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
