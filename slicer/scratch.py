"""A folder to work in, beside the goal: what was killed there is cleared away by whoever comes next."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".slicing-"


@contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """An empty folder in `out`, from which files move to it in one step each; gone afterwards.

    It is locked while it is in use: a lock ends with its process, however that ends and wherever it ran.
    """
    _clear(out)
    folder, handle = _locked(out)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what cannot be removed now, the next one clears away
        os.close(handle)


def _locked(out: Path) -> tuple[Path, int]:
    """A new folder and what holds its lock. Before it is locked somebody may take it for one that was left behind."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=out))
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder, handle
        os.close(handle)


def _clear(out: Path) -> None:
    """Removes the folders that nobody has locked."""
    for folder in out.glob(f"{_PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError:  # another's, or cleared by somebody else this moment
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it is in use, or the disk knows no locks
            pass
        finally:
            os.close(handle)
