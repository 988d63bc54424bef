"""Files that are either whole or not there, and JSON read with suspicion."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from .errors import ReportError

MAX_JSON_BYTES: Final = 256 << 20
_PART: Final = re.compile(r"\..+\.(?P<pid>[0-9]{1,9})\.[0-9a-f]{8}\.part")


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file beside `path`; on a clean exit it is on the disk and takes the name, else it is gone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)  # or a power cut could still undo the rename
    except OSError as error:
        raise ReportError(
            f"cannot write {path}: {error.strerror}: make room there or choose another folder with -o"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # gone after a rename; a folder that cannot be written was reported above
            temporary.unlink()


def sweep(folder: Path) -> None:
    """Removes what writers that were killed left in a folder and the folders in it; who still writes is left alone.

    What is no plain file is none of theirs. What cannot be removed stays: it is in nobody's way.
    """
    with contextlib.suppress(OSError):  # a folder that cannot be listed
        for part in (*folder.glob(".*.part"), *folder.glob("*/.*.part")):
            writer = _PART.fullmatch(part.name)
            if writer is not None and not _lives(int(writer["pid"])):
                with contextlib.suppress(OSError):
                    if stat.S_ISREG(part.lstat().st_mode):
                        part.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 atomically."""
    with atomic(path) as file:
        file.write(text.encode())


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Writes a stream atomically."""
    with atomic(path) as file:
        file.writelines(chunks)


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a file; ReportError for anything else, `what` naming what was expected there."""
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise ReportError(
                f"{path} has {size:,} bytes, wanted {what} of at most {MAX_JSON_BYTES:,}: is it the right file?"
            )
        value = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise ReportError(f"cannot read {what} {path}: {error.strerror}: check the path") from error
    except (ValueError, RecursionError) as error:  # ValueError: not JSON or not UTF-8; RecursionError: nested too deep
        raise ReportError(f"{path} is not {what}: {error}: it is damaged or another file; write it anew") from error
    if not isinstance(value, dict):
        raise ReportError(
            f"{path} holds a JSON {type(value).__name__}, wanted {what} (an object): is it the right file?"
        )
    return value


def _refuse_constant(text: str) -> None:
    raise ValueError(f"it has {text}, which JSON does not know")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; more than a pid can be, so that it is no name of ours
        return True
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
