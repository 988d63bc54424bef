"""The timeline's file is one JSON document, whatever it holds."""

from __future__ import annotations

import json

import pytest

from dvabatch.reporting.perfetto import chunks


@pytest.mark.parametrize("count", [0, 1, 2, 4096, 4097, 10_000])
def test_the_chunks_are_one_document(count: int) -> None:
    events = [{"ph": "i", "name": f"“{number}”"} for number in range(count)]
    asked: list[int] = []

    def facts() -> dict[str, object]:
        asked.append(1)
        return {"policy": "é"}

    parts = list(chunks(iter(events), facts))
    assert json.loads(b"".join(parts)) == {
        "displayTimeUnit": "ms",
        "traceEvents": events,
        "otherData": {"policy": "é"},
    }
    assert len(parts) == 2 + -(-count // 4096)
    assert asked == [1]


def test_facts_are_asked_when_all_events_are_through() -> None:
    seen: list[str] = []

    def events() -> object:
        yield {"ph": "i"}
        seen.append("events")

    list(chunks(events(), lambda: seen.append("facts") or {}))  # type: ignore[arg-type, func-returns-value]
    assert seen == ["events", "facts"]
