"""Files of arrays: whatever is no plain .npz is refused by name, and nothing in it is run."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dvabatch.loadgen import LoadFileError
from dvabatch.loadgen.npz import read_npz


def test_its_arrays_come_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", one=np.arange(3), other=np.array("text"))
    found = read_npz(tmp_path / "x.npz")
    assert (found["one"].tolist(), str(found["other"]), len(found)) == ([0, 1, 2], "text", 2)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, one=np.array([{"a": 1}], dtype=object))
    with pytest.raises(LoadFileError, match=r"not an \.npz of plain arrays"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text", b"\x93NUMPY"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(LoadFileError, match=r"x\.npz"):
        read_npz(path)


def test_a_single_array_or_no_file_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.arange(3))
    for name in ["one.npy", "none.npz"]:
        with pytest.raises(LoadFileError, match=name):
            read_npz(tmp_path / name)


def test_an_impossible_size_in_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1152921504606846975,), }"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.npy", array)
    with pytest.raises(LoadFileError, match=r"x\.npz: not an \.npz of plain arrays"):
        read_npz(path)
