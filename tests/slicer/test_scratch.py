"""The folder that slicing works in: empty, gone afterwards, and cleared of what was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from slicer.scratch import scratch

KILLED = """
import os, signal, sys
from pathlib import Path
from slicer.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "large.onnx").write_bytes(b"0" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="why"), scratch(tmp_path):
        raise ValueError("why")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_taken_for_a_left_one_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another slicing clears between the folder's making and its locking."""
    made: list[Path] = []
    mkdtemp = tempfile.mkdtemp

    def cleared_twice(**where: Any) -> str:
        made.append(Path(mkdtemp(**where)))
        if len(made) < 3:
            made[-1].rmdir()
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", cleared_twice)
    with scratch(tmp_path) as folder:
        assert folder == made[2]
        assert folder.is_dir()


def test_what_a_killed_slicing_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert (left / "large.onnx").exists()
    kept = [tmp_path / name for name in ("stages", ".slicing")]
    for other in kept:
        other.mkdir()
    file, link = tmp_path / ".slicing-file", tmp_path / ".slicing-link"
    file.write_text("x")
    link.symlink_to(kept[0], target_is_directory=True)
    with scratch(tmp_path) as mine, scratch(tmp_path) as beside:
        assert not left.exists()
        assert mine.exists(), "this one is in use"
        assert beside.exists()
    assert sorted(tmp_path.iterdir()) == sorted([*kept, file, link])
