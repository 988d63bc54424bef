"""Measured points on the disk, each written as soon as it ends, so that an interrupted sweep keeps what it has.

A point is `points/<key>.queries.jsonl` and, written after it, `points/<key>.json` with the digest of the former.
A crash in between leaves records without a summary, or an old summary whose digest no longer fits: neither is a point.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .canonical import pretty
from .errors import ReportError
from .files import read_object, write_chunks, write_text
from .measured import IntArray, Queries
from .records import lines, read_queries

_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_CHUNK: Final = 1 << 20


def save_point(directory: Path | str, key: str, run: Mapping[str, Any], queries: Queries) -> Path:
    """Writes a run's records, then its summary; returns the summary's path. An older point of that key is replaced."""
    records, summary = _paths(Path(directory), key)
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for chunk in lines(queries):
            digest.update(chunk)
            yield chunk

    write_chunks(records, hashed())
    write_text(summary, pretty({"queries_sha256": digest.hexdigest(), "run": dict(run)}))
    return summary


def load_points(directory: Path | str) -> dict[str, dict[str, Any]]:
    """key -> run of every whole point of a results folder, in the order of the keys; half-written ones are left out."""
    folder = Path(directory) / "points"
    found = {}
    for summary in sorted(folder.glob("*.json")):
        key = summary.name.removesuffix(".json")
        if _KEY.fullmatch(key) is None:
            continue  # a temporary file, or not ours
        point = read_object(summary, "a measured point")
        records = _paths(Path(directory), key)[0]
        if not isinstance(point.get("run"), dict) or not isinstance(point.get("queries_sha256"), str):
            raise ReportError(
                f"{summary} has {sorted(point)}, wanted run and queries_sha256: remove it to measure it again"
            )
        if records.is_file() and _sha256(records) == point["queries_sha256"]:
            found[key] = point["run"]
    return found


def load_queries(directory: Path | str, key: str) -> Queries:
    """The raw records of a point."""
    records = _paths(Path(directory), key)[0]
    if not records.is_file():
        raise ReportError(f"{records} does not exist, wanted the records of point {key!r}: measure it again")
    return read_queries(records)


def load_responses(directory: Path | str, key: str) -> IntArray:
    """int64[n]: the response of each offered query of a point in ns, -1 where it did not complete; for `compare`."""
    return load_queries(directory, key).response_by_id_ns()


def _paths(directory: Path, key: str) -> tuple[Path, Path]:
    if _KEY.fullmatch(key) is None:
        raise ReportError(f"a point's key is a plain file name, got {key!r}: use letters, digits, '.', '_' and '-'")
    folder = directory / "points"
    return folder / f"{key}.queries.jsonl", folder / f"{key}.json"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
