"""Reading .npz files that may hold anything."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dvabatch.loadgen.errors import LoadFileError


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of the file, by name; nothing in it is executed. Raises LoadFileError."""
    try:
        # Opened here, since NumPy leaves its own file open when the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
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
