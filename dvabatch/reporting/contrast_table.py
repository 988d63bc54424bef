"""Comparisons of saved results as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from .contrast import Contrast
from .labels import load_label
from .metric_ratio import Ratio
from .verdict import Verdict

_STYLES: Final[Mapping[Verdict, str]] = {
    Verdict.FASTER: "green",
    Verdict.SLOWER: "red",
    Verdict.FEWER_ANSWERS: "red",
    Verdict.INVALID: "bold red",
    Verdict.CANNOT_TELL: "yellow",
}


def contrast_table(rows: Sequence[Contrast], metric: str) -> Table:
    """Policy by load: the ratio of the metric with its interval, p50 and p99 beside it, the test's p, runs, and the verdict."""
    table = Table(
        title=Text(f"{metric} response, new / old (above 1: the new one is slower)"),
        title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("policy", overflow="fold", max_width=28)
    beside = [name for name in ("mean", "p50", "p99") if name != metric]
    for name in ("load", "ratio", "95 %", *beside, "p", "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    previous = ""
    for row in rows:
        match = row.match
        name = match.policy if match.policy == match.against else f"{match.policy} / {match.against}"
        if previous not in {"", name}:
            table.add_row()
        headline = row.headline
        p = row.flips_p if row.flips_p is not None else None if headline is None else headline.p
        table.add_row(
            Text("" if previous == name else name),
            load_label(match.load),
            _ratio(headline),
            "-" if headline is None or headline.interval is None else "{:.3f} .. {:.3f}".format(*headline.interval),
            *(_ratio(row.ratios.get(each)) for each in beside),
            "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}",
            str(len(match.pairs)),
            Text(row.verdict.value, style=_STYLES.get(row.verdict, "")),
        )
        previous = name
    return table


def _ratio(ratio: Ratio | None) -> str:
    return "-" if ratio is None else f"{ratio.ratio:.3f}"
