"""Raw per-query records as JSON lines: integer ns, one query a line, so that every number can be recomputed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from .errors import ReportError
from .measured import Queries, Status

_LINES: Final = 1 << 14
_STATUS: Final = {status.name.lower(): int(status) for status in Status}
_LONGEST_LINE: Final = 512


def lines(queries: Queries) -> Iterator[bytes]:
    """The records, some thousand lines a chunk: id, arrival_ns, admitted_ns, done_ns, status, and where the run has
    them length, late_free and held."""
    names = [status.name.lower() for status in Status]
    form = '{"id":%d,"arrival_ns":%d,"admitted_ns":%d,"done_ns":%d,"status":"%s"'
    form += "" if queries.length is None else ',"length":%d'
    form += "" if queries.late_free is None else ',"late_free":%s'
    form += "" if queries.held is None else ',"held":%s'
    form += "}\n"
    for begin in range(0, len(queries), _LINES):
        part = slice(begin, begin + _LINES)
        arrival = queries.arrival_ns[part].tolist()
        columns = [range(begin, begin + len(arrival)), arrival]
        columns += [queries.admitted_ns[part].tolist(), queries.done_ns[part].tolist()]
        columns += [[names[status] for status in queries.status[part].tolist()]]
        if queries.length is not None:
            columns += [queries.length[part].tolist()]
        for mask in (queries.late_free, queries.held):
            if mask is not None:
                columns += [["true" if each else "false" for each in mask[part].tolist()]]
        yield "".join(map(form.__mod__, zip(*columns, strict=True))).encode()


def read_queries(path: Path) -> Queries:
    """The records of a file back as arrays; ReportError, naming the lines, for what `lines` does not write."""
    columns: dict[str, list[np.ndarray[tuple[int], np.dtype[np.generic]]]] = {}
    read = 0
    with path.open("rb") as file:
        text = iter(lambda: file.readline(_LONGEST_LINE + 1), b"")  # however long a line is, no more of it is read
        while chunk := list(islice(text, _LINES)):
            try:
                if max(map(len, chunk)) > _LONGEST_LINE:
                    raise ValueError("a line is too long")
                objects = json.loads(b"[" + b",".join(chunk) + b"]")  # one call a chunk: ten times as fast
                if [entry["id"] for entry in objects] != list(range(read, read + len(chunk))):
                    raise ValueError("ids are not 0, 1, 2, ..")
                for name, dtype in _columns(objects[0]).items():
                    values = [_STATUS[entry[name]] if name == "status" else entry[name] for entry in objects]
                    array = np.array(values)
                    if array.dtype.kind != np.dtype(dtype).kind and name != "status":
                        raise ValueError(f"{name} holds {array.dtype}")
                    columns.setdefault(name, []).append(array.astype(dtype))
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise ReportError(
                    f"{path}, lines {read + 1} to {read + len(chunk)}: {error!r}: wanted one record a line"
                    " as save_point writes them; remove the point and measure it again"
                ) from error
            read += len(chunk)
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    empty = {name: np.empty(0, dtype) for name, dtype in _columns({}).items()}
    try:
        return Queries(**(empty | whole))
    except ValueError as error:
        raise ReportError(f"{path}: {error}; remove the point and measure it again") from error


def _columns(record: dict[str, object]) -> dict[str, type[np.generic]]:
    wanted: dict[str, type[np.generic]] = {"arrival_ns": np.int64, "admitted_ns": np.int64, "done_ns": np.int64}
    wanted["status"] = np.uint8
    if "length" in record:
        wanted["length"] = np.int32
    if "late_free" in record:
        wanted["late_free"] = np.bool_
    if "held" in record:
        wanted["held"] = np.bool_
    return wanted
