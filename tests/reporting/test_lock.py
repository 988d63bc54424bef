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


def test_what_was_half_written_goes_and_nothing_else_keeps_anybody_out(tmp_path: Path) -> None:
    left, name = tmp_path / "points", ".a.json.999999999.deadbeef.part"
    for folder in (tmp_path, left):
        (folder / name.replace("a.json", "folder")).mkdir(parents=True)
        (folder / name.replace("a.json", "link")).symlink_to(tmp_path / "kept")
        (folder / name).write_text("half")
        (folder / f".b.json.{os.getpid()}.deadbeef.part").touch()  # its writer lives
    (tmp_path / "kept").touch()
    with ResultsLock(tmp_path):
        pass
    for folder in (tmp_path, left):
        kinds = {".folder", ".link", ".b"}
        assert {f".{file.name.split('.')[1]}" for file in folder.glob(".*.part")} == kinds


def test_what_cannot_be_removed_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = tmp_path / ".a.json.999999999.deadbeef.part"
    part.touch()

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with ResultsLock(tmp_path):
        assert part.exists()


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (OSError(28, "No space left on device"), (ReportError, "cannot write .*No space left on device: make room")),
        (KeyboardInterrupt("by hand"), (KeyboardInterrupt, "by hand")),
    ],
)
def test_who_does_not_get_in_does_not_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: BaseException, told: tuple[type[BaseException], str]
) -> None:
    def broken(*_: object) -> None:
        raise trouble

    lock, handles = ResultsLock(tmp_path), open_files()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", broken)
        with pytest.raises(told[0], match=told[1]):
            lock.__enter__()
    assert open_files() == handles
    with lock:
        pass
