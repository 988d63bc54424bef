"""A report made by anybody, tamed: bounded depth, bounded texts, and no character that shows otherwise than it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from dvabatch.reporting.errors import ReportError

_DEEPEST: Final = 32
_LONGEST: Final = 2000
# Controls but tab and newline; what turns the direction of text or is invisible (a command could read otherwise than it
# is); halves of surrogate pairs, which JSON can name and UTF-8 cannot write; and what is no character at all.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffc\ufffe\uffff\U000e0000-\U000e0fff]"
)


def tamed(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with every text made plain and cut at 2,000 characters.

    Raises:
        ReportError: it is nested deeper than any report is.
    """
    value: dict[str, Any] = _tamed(report, 0)
    return value


def _tamed(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ReportError(
            f"the report is nested more than {_DEEPEST} levels deep: it is damaged or not a report; write it anew"
        )
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, Mapping):
        return {_plain(str(key)): _tamed(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_tamed(item, depth + 1) for item in value]
    return value


def _plain(text: str) -> str:
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text) - _LONGEST:,} characters more)"
    return _UNSEEN.sub("\ufffd", text)
