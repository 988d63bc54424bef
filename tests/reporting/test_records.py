from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.measured import Queries
from dvabatch.reporting.records import lines, read_queries

NAMES = ("arrival_ns", "admitted_ns", "done_ns", "status", "late_free", "length", "held")


def write(path: Path, queries: Queries) -> Path:
    path.write_bytes(b"".join(lines(queries)))
    return path


def same(one: Queries, other: Queries) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in NAMES]
    return all((a is None and b is None) or (a.dtype == b.dtype and np.array_equal(a, b)) for a, b in pairs)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 3), st.booleans()
        ),
        max_size=30,
    ),
    with_length=st.booleans(),
    with_free=st.booleans(),
    with_held=st.booleans(),
)
def test_records_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, int, int, bool]],
    with_length: bool,
    with_free: bool,
    with_held: bool,
) -> None:
    arrival = np.array([row[0] for row in rows], np.int64)
    admitted = arrival + np.array([row[1] for row in rows], np.int64)
    done = admitted + np.array([row[2] for row in rows], np.int64)
    status = np.array([row[3] for row in rows], np.uint8)
    admitted[status == 2] = -1
    done[status != 0] = -1
    free = np.array([row[4] for row in rows], np.bool_) if with_free and rows else None
    length = (arrival % 512).astype(np.int32) if with_length and rows else None
    held = arrival % 3 == 0 if with_held and rows else None
    queries = Queries(arrival, admitted, done, status, free, length, held)
    assert same(read_queries(write(tmp_path_factory.mktemp("records") / "q.jsonl", queries)), queries)


def test_a_line_is_one_json_object(tmp_path: Path) -> None:
    at = np.array([5, 6], np.int64)
    queries = Queries(at, at, at, np.array([0, 1], np.uint8), np.array([True, False]), np.array([7, 8], np.int32))
    text = write(tmp_path / "q.jsonl", queries).read_text().splitlines()
    assert json.loads(text[1]) == {
        "id": 1,
        "arrival_ns": 6,
        "admitted_ns": 6,
        "done_ns": 6,
        "status": "failed",
        "length": 8,
        "late_free": False,
    }


def test_many_lines_pass_through_chunks(tmp_path: Path) -> None:
    at = np.arange(40_000, dtype=np.int64)
    queries = Queries(at, at + 1, at + 2, np.zeros(len(at), np.uint8))
    assert same(read_queries(write(tmp_path / "q.jsonl", queries)), queries)


GOOD = '{"id":0,"arrival_ns":1,"admitted_ns":1,"done_ns":2,"status":"completed"}\n'


@pytest.mark.parametrize(
    "text",
    [
        GOOD[:30],
        GOOD + GOOD,
        GOOD.replace("completed", "vanished"),
        GOOD.replace('"done_ns":2', '"done_ns":2.5'),
        GOOD.replace('"done_ns":2', '"done_ns":null'),
        GOOD.replace('"done_ns":2', '"done_ns":1e30'),
        GOOD.replace('"done_ns":2,', ""),
        GOOD.replace('"done_ns":2', '"done_ns":0'),
        GOOD.replace('"done_ns":2', f'"done_ns":{"1" * 600}'),
        GOOD.replace('"done_ns":2', f'"done_ns":{"1" * 30}'),
        "[]\n",
        "\n",
        "1,2\n",
    ],
)
def test_what_was_not_written_by_us_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(ReportError, match="remove the point and measure it again"):
        read_queries(tmp_path / "q.jsonl")
