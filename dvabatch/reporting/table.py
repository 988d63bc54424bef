"""A report as tables for the terminal (100 columns) and as plain rows for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from .comparison import SEEDS_ASKED
from .comparison_answers import comparison_of, fewer_answers
from .ends import ends_of, share_text
from .labels import load_label
from .percentiles import milliseconds_text, percentile_text
from .series import Point, mean_rows, points

_OPERATIONS: Final = (("new", "new"), ("stretch", "str"), ("merge", "mrg"), ("split", "spl"), ("hold", "hld"))


def run_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One plain row a policy and load, over its seeds: what the table shows, unrounded, None where there is nothing."""
    return [
        {
            "policy": point.policy,
            "role": point.role,
            "process": point.load["process"],
            "utilization": point.load["utilization"],
            "request_rate_rps": point.rate_rps,
            "seeds": len(point.runs),
            **ends_of(point.runs).to_json(),
            "mean_ms": point.mean_ms,
            "mean_ci95_ms": None if point.mean_ci95_ms is None else list(point.mean_ci95_ms),
            "p50_ms": point.average("response_ms", "p50"),
            "p99_ms": point.average("response_ms", "p99"),
            "request_throughput_rps": point.average("request_throughput_rps"),
            "goodput_rps": point.average("goodput_rps"),
            "mean_batch": [mean_rows(batches) for batches in point.batches()],
            "operations": point.operations(),
            "invalid": point.invalid,
            "saturated": point.saturated,
        }
        for point in points(report["runs"])
    ]


def runs_table(report: Mapping[str, Any]) -> Table:
    """Policy by load: mean response with its interval, p50, p99, the share answered (where not all were), throughput, goodput,
    batches, operations, flags."""
    found = points(report["runs"])
    unanswered = any(ends_of(point.runs).answered < 1 for point in found)
    goodput = any(point.average("goodput_rps") is not None for point in found)
    table = _table(f"{report['name']}: response in ms")
    table.add_column("policy", overflow="fold", max_width=18)
    table.add_column("load", justify="right", no_wrap=True)
    table.add_column("mean ±95 %", justify="right", no_wrap=True)
    table.add_column("p50", justify="right")
    table.add_column("p99", justify="right")
    if unanswered:
        table.add_column("answered", justify="right", no_wrap=True)
    table.add_column("rps", justify="right", no_wrap=True)
    if goodput:
        table.add_column("in SLO", justify="right", no_wrap=True)
    table.add_column("batch", overflow="fold", max_width=15)
    table.add_column("operations", overflow="fold", max_width=17)
    table.add_column("", overflow="fold", max_width=9)
    previous = ""
    for point in found:
        if previous not in {"", point.policy}:
            table.add_row()
        cells: list[str | Text] = [
            Text("" if previous == point.policy else point.policy),  # a Text: a name is no markup
            point.load_label,
            _mean_text(point),
            percentile_text(point.average("response_ms", "p50"), "p50"),
            percentile_text(point.average("response_ms", "p99"), "p99"),
        ]
        if unanswered:
            cells.append(share_text(ends_of(point.runs).answered))
        cells.append(_rate_text(point.average("request_throughput_rps")))
        if goodput:
            cells.append(_rate_text(point.average("goodput_rps")))
        table.add_row(*cells, _batch_text(point), _operations_text(point), _flags(point))
        previous = point.policy
    return table


def comparison_table(report: Mapping[str, Any]) -> Table:
    """Each policy against each baseline: ratio of means (below 1 the policy is faster), interval, p, seeds."""
    compared = comparison_of(report)
    table = _table("mean response, policy / baseline (below 1: the policy is faster)")
    table.add_column("policy", overflow="fold", max_width=20)
    table.add_column("baseline", overflow="fold", max_width=22)
    for name in ("load", "ratio", "95 %", "p", "p99", "seeds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", max_width=12)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in compared:
        groups.setdefault((row["policy"], f"{row['baseline']} ({row['baseline_role']})"), []).append(row)
    if any(row["seeds"] < SEEDS_ASKED for row in compared):
        table.caption = f"fewer than {SEEDS_ASKED} seeds: an indication, not yet a claim"
        table.caption_justify = "left"
    for number, ((policy, baseline), rows) in enumerate(groups.items()):
        if number:
            table.add_row()
        for index, row in enumerate(rows):
            names = (Text(policy), Text(baseline)) if index == 0 else ("", "")
            table.add_row(*names, *_comparison_cells(row))
    return table


def _table(title: str) -> Table:
    return Table(
        title=Text(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )


def _comparison_cells(row: Mapping[str, Any]) -> list[str | Text]:
    interval, p, ratio, tail = row["ratio_ci95"], row["p"], row["ratio"], row["p99_ratio"]
    better = interval is not None and interval[1] < 1
    worse = interval is not None and interval[0] > 1
    return [
        load_label(row["load"]),
        Text("-" if ratio is None else f"{ratio:.3f}", style="green" if better else "red" if worse else ""),
        "-" if interval is None else f"{interval[0]:.3f} .. {interval[1]:.3f}",
        "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}",
        "-" if tail is None else f"{tail:.3f}",
        str(row["seeds"]),
        _comparison_flags(row),
    ]


def _mean_text(point: Point) -> str:
    """The mean and the farther half of its interval, at the mean's digits."""
    mean, interval = point.mean_ms, point.mean_ci95_ms
    if mean is None:
        return "-"
    text = milliseconds_text(mean)
    if interval is None:
        return text
    decimals = len(text.partition(".")[2])
    return f"{text} ±{max(interval[1] - mean, mean - interval[0]):,.{decimals}f}"


def _rate_text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _batch_text(point: Point) -> str:
    """The mean batch of each stage; one number where all launches spanned all stages."""
    stages = point.batches()
    means = [mean_rows(batches) for batches in (stages[:1] if all(one == stages[0] for one in stages) else stages)]
    return " ".join("-" if mean is None else f"{mean:.1f}" for mean in means)


def _operations_text(point: Point) -> str:
    counts = point.operations()
    return " ".join(f"{short} {_count_text(counts[name])}" for name, short in _OPERATIONS if counts.get(name))


def _count_text(count: int) -> str:
    return str(count) if count < 10_000 else f"{count / 1e3:.0f}k" if count < 10_000_000 else f"{count / 1e6:.0f}M"


def _flags(point: Point) -> Text:
    of = "" if len(point.runs) == 1 else f"/{len(point.runs)}"
    text = Text()
    if point.invalid:
        text.append("INVALID" + (f" {point.invalid}{of}" if of else ""), style="bold red")
    if point.saturated:
        text.append(" " if text.plain else "").append("saturated" + (f" {point.saturated}{of}" if of else ""), "yellow")
    return text


def _comparison_flags(row: Mapping[str, Any]) -> Text:
    text = Text()
    if not row["valid"]:
        text.append("INVALID ", style="bold red")
    if fewer_answers(row):
        text.append("fewer answers ", style="red")
    if row["saturated"] or row["baseline_saturated"]:
        both = row["saturated"] and row["baseline_saturated"]
        text.append("both" if both else "policy" if row["saturated"] else "baseline", style="yellow")
        text.append(" saturated", style="yellow")
    return text
