"""Accounts of queries for people and for machines: where the time went, and with whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from .account import WHATS, Account, Part, Segment, What

WORDS: Final[dict[What, str]] = {
    "unseen": "due, not yet seen",
    "waiting": "waiting to enter",
    "queued": "queued",
    "held": "held for its tail",
    "copied": "copied",
    "launched": "being launched",
    "computed": "computed",
    "answered": "being answered",
}
_MOST_NAMED: Final = 6
_NS_PER_MS: Final = 1e6


def account_facts(account: Account) -> dict[str, Any]:
    """An account as plain values; instants are nanoseconds from the query's scheduled arrival."""
    largest = largest_of(account)
    return {
        "query": account.query_id,
        "arrival_ns": account.arrival_ns,
        "outcome": account.outcome.name.lower(),
        "reason": account.reason,
        "response_ns": account.response_ns,
        "totals_ns": dict(account.totals_ns()),
        "largest": None if largest is None else _segment_facts(account, largest),
        "segments": [_segment_facts(account, segment) for segment in account.segments],
        "operations": [_part_facts(account, part) for part in account.operations],
    }


def largest_of(account: Account) -> Segment | None:
    """The longest segment, the first of equals; None for a query that took no time."""
    return max(account.segments, key=lambda segment: segment.lasted_ns, default=None)


def segments_table(account: Account) -> Table:
    """The segments in order."""
    table = _table("where the time went", ("at ms", "ms", "share", "what", "batch", "with or for", "until"))
    for segment in account.segments:
        rows = "" if segment.rows is None else f" of {segment.rows}"
        table.add_row(
            _ms(segment.begin_ns - account.arrival_ns),
            _ms(segment.lasted_ns),
            f"{segment.lasted_ns / account.response_ns:.0%}",
            told(segment),
            "" if segment.batch is None else f"{segment.batch}{rows}",
            _batches(segment.others),
            Text("; ".join(segment.until)),
        )
    return table


def operations_table(account: Account) -> Table:
    """The operations that it took part in."""
    table = _table("operations that it took part in", ("at ms", "operation", "batch", "as", "tail or parts"))
    for part in account.operations:
        done = part.done
        table.add_row(
            _ms(part.now_ns - account.arrival_ns),
            f"{done.kind} before stage {done.stage}" if done.stage else done.kind,
            f"{done.batch} of {len(done.members)}",
            role_of(account, part),
            _batches(done.parts) if done.tail is None else f"batch {done.tail} of {len(done.others)}",
        )
    return table


def slowest_table(accounts: Sequence[Account]) -> Table:
    """One line a query: how long of each kind, and its longest segment."""
    whats: list[What] = [what for what in WHATS if any(account.totals_ns().get(what) for account in accounts)]
    table = _table("the slowest, in ms", ("query", "arrived s", "response", *whats, "longest segment"))
    for account in accounts:
        totals, largest = account.totals_ns(), largest_of(account)
        table.add_row(
            str(account.query_id),
            f"{account.arrival_ns / 1e9:.3f}",
            _ms(account.response_ns),
            *(_ms(totals.get(what, 0)) for what in whats),
            "" if largest is None else f"{_where(largest)}: {_ms(largest.lasted_ns)}",
        )
    return table


def without_table(document: Mapping[str, Any]) -> Table:
    """What `without_operations` found: the query's response and the run's mean, against the run as it was."""
    base = document["simulated"]
    table = _table(
        "without each operation, simulated", ("without", "as", "at ms", "response", "change", "mean", "change ")
    )
    table.add_row("nothing: as it was", "", "", *_change(base, base, "response_ns"), *_change(base, base, "mean_ns"))
    for row in document["without"]:
        nth = "" if row["nth"] == 1 else f", from number {row['nth']} on"
        table.add_row(
            f"{row['kind']}{nth}",
            row["as"],
            _ms(row["at_ns"]),
            *_change(row, base, "response_ns"),
            *_change(row, base, "mean_ns"),
        )
    return table


def _change(row: Mapping[str, Any], base: Mapping[str, Any], name: str) -> tuple[str, str]:
    """A time in ms, and by how much it is another than the base's."""
    here, there = row[name], base[name]
    if here is None:
        return "no answer", ""
    return _ms(here), "" if row is base or there is None else f"{(here - there) / _NS_PER_MS:+.3f}"


def role_of(account: Account, part: Part) -> str:
    """What the query was in an operation of two batches."""
    if part.done.tail is None:
        return "member"
    return "head" if account.query_id in part.done.members else "tail"


def told(segment: Segment) -> str:
    """What a segment is, in words."""
    word = WORDS[segment.what]
    if segment.what == "waiting" or segment.stage is None:
        return word
    if segment.what in {"queued", "held"}:
        return f"{word} before stage {segment.stage}"
    alone = "" if segment.alone_ns is None else f" ({_ms(segment.alone_ns)} alone)"
    if segment.last_stage in {None, segment.stage}:
        return f"{word}, stage {segment.stage}{alone}"
    return f"{word}, stages {segment.stage} to {segment.last_stage}{alone}"


def _where(segment: Segment) -> str:
    """A segment in short."""
    if segment.what == "waiting" or segment.stage is None:
        return segment.what
    last = "" if segment.last_stage in {None, segment.stage} else f"-{segment.last_stage}"
    return f"{segment.what} {segment.stage}{last}"


def _segment_facts(account: Account, segment: Segment) -> dict[str, Any]:
    return {
        "what": segment.what,
        "begin_ns": segment.begin_ns - account.arrival_ns,
        "lasted_ns": segment.lasted_ns,
        "stage": segment.stage,
        "last_stage": segment.last_stage,
        "batch": segment.batch,
        "rows": segment.rows,
        "launch": segment.launch,
        "others": list(segment.others),
        "until": list(segment.until),
        "alone_ns": segment.alone_ns,
    }


def _part_facts(account: Account, part: Part) -> dict[str, Any]:
    done = part.done
    return {
        "kind": done.kind,
        "at_ns": part.now_ns - account.arrival_ns,
        "as": role_of(account, part),
        "batch": done.batch,
        "stage": done.stage,
        "queries": list(done.members),
        "tail": done.tail,
        "tail_queries": list(done.others),
        "parts": list(done.parts),
    }


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    words = {"without", "what", "batch", "with or for", "until", "operation", "as", "tail or parts", "longest segment"}
    for heading in headings:
        table.add_column(heading, justify="left" if heading in words else "right", overflow="fold")
    return table


def _batches(ids: Sequence[int]) -> str:
    """Batches by their ids, not too many of them."""
    if not ids:
        return ""
    named = ", ".join(map(str, ids[:_MOST_NAMED]))
    more = len(ids) - _MOST_NAMED
    return f"{'batch' if len(ids) == 1 else 'batches'} {named}{f' and {more} more' if more > 0 else ''}"


def _ms(duration_ns: float) -> str:
    return f"{duration_ns / _NS_PER_MS:.3f}"
