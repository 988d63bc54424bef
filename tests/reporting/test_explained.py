"""Accounts as tables and as plain values."""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from dvabatch.batching.history import Done
from dvabatch.reporting.account import Account, Part, Segment
from dvabatch.reporting.explained import (
    account_facts,
    largest_of,
    operations_table,
    role_of,
    segments_table,
    slowest_table,
    told,
    without_table,
)
from dvabatch.reporting.measured import Status

ACCOUNT = Account(
    7,
    1_000_000,
    6_000_000,
    Status.COMPLETED,
    None,
    (
        Segment("waiting", 1_000_000, 2_000_000, 0, others=(3,), until=("batch 3 left stage 0", "query [8] arrived")),
        Segment("computed", 2_000_000, 4_500_000, 0, 1, 4, 2, 9, others=tuple(range(10, 18)), alone_ns=1_250_000),
        Segment("held", 4_500_000, 6_000_000, 2, 2, 4, 2, others=(5,)),
    ),
    (
        Part(2_000_000, Done("new", 4, (7, 8), 0)),
        Part(4_500_000, Done("hold", 4, (7, 8), 2, 5, (9,))),
        Part(4_500_000, Done("merge", 2, (1,), 2, 4, (7, 8))),
        Part(5_000_000, Done("split", 4, (7, 8), 2, parts=(6, 7))),
    ),
)
REJECTED = Account(8, 5, 5, Status.REJECTED, "queue full (3 waiting)", (), ())


def text(table: Table) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200).print(table)
    return stream.getvalue()


def rows(table: Table) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text(table).splitlines()[3:]]


def test_segments_are_listed_in_order() -> None:
    assert rows(segments_table(ACCOUNT)) == [
        ["0.000", "1.000", "20%", "waiting to enter", "batch 3", "batch 3 left stage 0; query [8] arrived"],
        [
            "1.000", "2.500", "50%", "computed, stages 0 to 1 (1.250 alone)", "4 of 2",
            "batches 10, 11, 12, 13, 14, 15 and 2 more",
        ],
        ["3.500", "1.500", "30%", "held for its tail before stage 2", "4 of 2", "batch 5"],
    ]  # fmt: skip


def test_operations_are_listed_with_the_querys_part_in_them() -> None:
    assert rows(operations_table(ACCOUNT)) == [
        ["1.000", "new", "4 of 2", "member"],
        ["3.500", "hold before stage 2", "4 of 2", "head", "batch 5 of 1"],
        ["3.500", "merge before stage 2", "2 of 1", "tail", "batch 4 of 2"],
        ["4.000", "split before stage 2", "4 of 2", "member", "batches 6, 7"],
    ]
    assert [role_of(ACCOUNT, part) for part in ACCOUNT.operations] == ["member", "head", "tail", "member"]


def test_the_slowest_have_a_line_each() -> None:
    table = slowest_table([ACCOUNT, REJECTED])
    assert [str(column.header) for column in table.columns] == [
        "query", "arrived s", "response", "waiting", "held", "computed", "longest segment",
    ]  # fmt: skip
    first, second = rows(table)
    assert first == ["7", "0.001", "5.000", "1.000", "1.500", "2.500", "computed 0-1: 2.500"]
    assert second == ["8", "0.000", "0.000", "0.000", "0.000", "0.000"]
    assert largest_of(REJECTED) is None


def test_what_was_simulated_is_set_against_the_run_as_it_was() -> None:
    base = {"response_ns": 5_000_000, "mean_ns": 4e6}
    document: dict[str, Any] = {
        "simulated": base,
        "without": [
            {"kind": "hold", "nth": 1, "as": "head", "at_ns": 3_500_000, "response_ns": 4_000_000, "mean_ns": 4.25e6},
            {"kind": "merge", "nth": 2, "as": "tail", "at_ns": 3_500_000, "response_ns": None, "mean_ns": None},
        ],
    }
    assert rows(without_table(document)) == [
        ["nothing: as it was", "5.000", "4.000"],
        ["hold", "head", "3.500", "4.000", "-1.000", "4.250", "+0.250"],
        ["merge, from number 2 on", "tail", "3.500", "no answer", "no answer"],
    ]


def test_facts_are_plain_and_count_from_the_arrival() -> None:
    facts = account_facts(ACCOUNT)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["response_ns"] == sum(each["lasted_ns"] for each in facts["segments"]) == 5_000_000
    assert [each["begin_ns"] for each in facts["segments"]] == [0, 1_000_000, 3_500_000]
    assert facts["totals_ns"] == {"waiting": 1_000_000, "held": 1_500_000, "computed": 2_500_000}
    assert facts["largest"] == facts["segments"][1]
    assert [each["kind"] for each in facts["operations"]] == ["new", "hold", "merge", "split"]
    turned_away = account_facts(REJECTED)
    assert (turned_away["outcome"], turned_away["reason"]) == ("rejected", "queue full (3 waiting)")
    assert (turned_away["largest"], turned_away["segments"]) == (None, [])


def test_segments_of_real_time_have_words_too() -> None:
    assert told(Segment("unseen", 0, 1)) == "due, not yet seen"
    assert told(Segment("answered", 0, 1)) == "being answered"
    assert told(Segment("copied", 0, 1, 1, 1)) == "copied, stage 1"
