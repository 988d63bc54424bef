"""One writer a results folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from .errors import ReportError
from .files import sweep


class ResultsLock:
    """Holds a results folder for this process while inside the `with` block; the folder is made if need be, and cleared of
    what a process that was killed had half written.

    The lock is the kernel's (flock), so it ends with the process however that ends, and the file that stays behind
    means nothing: its text, the last holder's pid, is only for the message.
    """

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)
        self._handle: int | None = None

    @property
    def path(self) -> Path:
        return self._directory / ".lock"

    def __enter__(self) -> ResultsLock:
        if self._handle is not None:
            raise ReportError(f"{self._directory} is already locked by this ResultsLock: leave its with block first")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ReportError(
                f"cannot write to {self._directory}: {error.strerror}: choose another folder with -o"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise ReportError(
                f"another bench (pid {holder}) is writing to {self._directory}; wait or choose another folder with -o"
            ) from error
        except OSError as error:
            os.close(handle)
            raise ReportError(
                f"cannot lock {self.path}: {error.strerror}: choose a folder on a local disk with -o"
            ) from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            sweep(self._directory)
        except OSError as error:
            os.close(handle)
            raise ReportError(
                f"cannot write {self.path}: {error.strerror}: make room there or choose another folder with -o"
            ) from error
        except BaseException:  # whoever does not get in does not hold it
            os.close(handle)
            raise
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)  # and with it the lock
            self._handle = None
