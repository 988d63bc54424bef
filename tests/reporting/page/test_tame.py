from __future__ import annotations

from typing import Any

import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.page.tame import tamed


@pytest.mark.parametrize(
    "bad", ["\x00", "\x1b", "\x7f", "\u202e", "\u2066", "\u200b", "\ud800", "\ufeff", "\uffff", "\x85"]
)
def test_what_is_not_seen_is_shown_as_such(bad: str) -> None:
    assert tamed({f"k{bad}": [f"a{bad}b"]}) == {"k\ufffd": ["a\ufffdb"]}


def test_what_is_plain_stays() -> None:
    report: dict[str, Any] = {"a": "t\te\nx \u00e9 \u6279 \U0001f600 \ufffd", "b": [1, 2.5, None, True], "c": {}}
    assert tamed(report) == report


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert tamed({"a": "x" * 2500})["a"] == "x" * 2000 + "\u2026 (500 characters more)"


def test_depth_is_bounded() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ReportError, match="nested more than 32 levels deep"):
        tamed({"config": deep})
