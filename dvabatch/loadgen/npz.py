"""Reading .npz files that may hold anything."""

import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dvabatch.loadgen.errors import LoadFileError

# What its arrays may take in memory: a file of a megabyte can hold a thousand times as much.
MAX_BYTES: Final = 4 << 30


def read_npz(path: Path, most_bytes: int = MAX_BYTES) -> dict[str, npt.NDArray[Any]]:
    """All arrays of the file, by name, if they have `most_bytes` together at the most; nothing in it is executed.

    Raises:
        LoadFileError: it is no such file.
    """
    try:
        # Opened here, since NumPy leaves its own file open when the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            unpacked = sum(entry.file_size for entry in arrays.zip.infolist())  # no more than this is ever unpacked
            if unpacked > most_bytes:
                raise ValueError(
                    f"it unpacks to {unpacked:,} bytes, wanted at most {most_bytes:,}: keep fewer rows in it"
                )
            return {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise LoadFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    # What NumPy and zipfile raise for pickles, single arrays, foreign or damaged archives, encryption, impossible sizes.
    except (
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        MemoryError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise LoadFileError(f"{path}: not an .npz of plain arrays: {error}") from error
