from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.lock import ResultsLock

HOLD = """
import sys
from dvabatch.reporting.lock import ResultsLock
with ResultsLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_bench_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ReportError, match=rf"another bench \(pid {other.pid}\) is writing to .*results; wait or"):
            ResultsLock(folder).__enter__()
        other.kill()  # the lock ends with its holder, however that ends
    with ResultsLock(folder) as lock:
        assert lock.path.read_text() == f"{os.getpid()}\n"


def test_it_may_be_taken_again_after_it_was_left_and_not_before(tmp_path: Path) -> None:
    lock = ResultsLock(tmp_path)
    with lock:
        with pytest.raises(ReportError, match="another bench"):
            ResultsLock(tmp_path).__enter__()
        with pytest.raises(ReportError, match="already locked"):
            lock.__enter__()
    with lock:
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="cannot write to"):
        ResultsLock(tmp_path / "file" / "results").__enter__()
