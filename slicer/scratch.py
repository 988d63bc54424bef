"""A folder to work in, beside the goal: what was killed there is cleared away by whoever comes next."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".slicing-"


@contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """An empty folder in `out`, from which files move to it in one step each; gone afterwards."""
    _clear(out)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{_host()}-{os.getpid()}-", dir=out) as name:
        yield Path(name)


def _clear(out: Path) -> None:
    """Removes what slicings on this host have left that do not run any more."""
    of_this_host = re.compile(rf"{re.escape(_PREFIX + _host())}-(\d+)-\w+")
    for folder in out.glob(f"{_PREFIX}*"):
        found = of_this_host.fullmatch(folder.name)
        if found and folder.is_dir() and not folder.is_symlink() and not _runs(int(found[1])):
            shutil.rmtree(folder)


def _host() -> str:
    """This host's name, without what a file's name cannot have."""
    return re.sub(r"[^A-Za-z0-9.]", "", socket.gethostname()) or "host"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
