from __future__ import annotations

from pathlib import Path

import pytest

from dvabatch.reporting import files
from dvabatch.reporting.errors import ReportError


def test_a_file_appears_whole_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    files.write_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["b.json"]


def test_it_is_as_readable_as_any_other_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    files.write_text(tmp_path / "atomic", "x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.atomic(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a report"),
        (b'{"a": ', "is not a report"),
        (b"\xff\xfe", "is not a report"),
        (b'{"a": NaN}', "NaN"),
        (b"[" * 200_000, "is not a report"),
        (b"[1]", "holds a JSON list"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ReportError, match=message):
        files.read_object(tmp_path / "x.json", "a report")


def test_a_missing_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file"):
        files.read_object(tmp_path / "x.json", "a report")
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(files.MAX_JSON_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ReportError, match="wanted a report of at most"):
        files.read_object(tmp_path / "x.json", "a report")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match=r"cannot write .*x\.json: .*: make room there or choose another folder"):
        files.write_text(tmp_path / "file" / "x.json", "x")
