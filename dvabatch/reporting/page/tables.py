"""The page's tables of runs and of comparisons: a group of rows for each load, so that policies at one load stand together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dvabatch.reporting.comparison import SEEDS_ASKED
from dvabatch.reporting.comparison_answers import comparison_of
from dvabatch.reporting.ends import share_text
from dvabatch.reporting.labels import load_id
from dvabatch.reporting.percentiles import percentile_text
from dvabatch.reporting.table import run_rows
from dvabatch.reporting.verdict import answers_fewer

from .cells import flags, load_title, mark, mean_cell, number, p_text, policy_cell
from .markup import NOTHING, Column, Html, element, items, joined, paragraph, section, table
from .verdict import outcome_of

Row = Mapping[str, Any]


def runs_section(report: Mapping[str, Any]) -> Html:
    """Every policy at every load: response, throughput, and what is wrong with the run."""
    rows = run_rows(report)
    if not rows:
        return section("runs", "Runs", paragraph("Nothing was measured."))
    goodput = any(row["goodput_rps"] is not None for row in rows)
    unanswered = any(row["answered"] < 1 for row in rows)
    columns = [
        Column("policy", numeric=False),
        Column("mean, 95 % interval", about="ms, from the scheduled arrival to the answer"),
        Column("p50", about="ms"),
        Column("p99", about="ms"),
        *([Column("answered", about="the share of the queries that got an answer")] if unanswered else []),
        Column("answers/s", about="completed queries a second"),
        *([Column("in time/s", about="answers a second within the objective")] if goodput else []),
        Column("seeds"),
        Column("", numeric=False),
    ]
    groups = []
    for title, group in by_load(rows):
        sound = [row for row in group if row["mean_ms"] is not None and not row["invalid"]]
        most = max((row["answered"] for row in sound), default=1.0)
        fastest = min((row for row in sound if not answers_fewer(row["answered"], most)), key=_mean_ms, default=None)
        groups.append((title, [_run_cells(row, goodput, unanswered, row is fastest) for row in group]))
    of_whom = ", of those that answer as many queries as the others," if unanswered else ""
    told = paragraph(
        "Response in milliseconds, counted from the instant at which a query was scheduled to arrive. The lowest valid mean"
        f" at each load{of_whom} is set bold. Over several seeds the interval is Student's t, over one it is a block"
        " bootstrap. A percentile that the sample does not support is not given."
    )
    return section("runs", "Runs", told, table("Response by load and policy", columns, groups))


def comparison_section(report: Mapping[str, Any]) -> Html:
    """Each policy against each baseline at the same schedules."""
    rows = comparison_of(report)
    if not rows:
        nothing = "No baseline was run, so that nothing is compared. A config names them in `baselines`."
        return section("comparison", "Comparison", paragraph(nothing))
    told = [
        paragraph(
            "The mean response of a policy over that of the baseline under the same arrivals: below 1 the policy answers"
            " sooner. Believe it where the interval excludes 1",
            f", and over {SEEDS_ASKED} seeds or more." if any(row["seeds"] < SEEDS_ASKED for row in rows) else ".",
        )
    ]
    scale = _scale(rows)
    for role, about in (("swept", _SWEPT), ("untuned", _untuned(report["runs"]))):
        heading = f"Against {role} batching"
        of_role = [row for row in rows if row["baseline_role"] == role]
        if of_role:
            groups = [
                (
                    f"{title}: {', '.join(dict.fromkeys(str(row['baseline']) for row in group))}",
                    [_compared(row, scale) for row in group],
                )
                for title, group in by_load(of_role, key=lambda row: row["load"])
            ]
            told += [element("h3", heading), paragraph(about), table(heading, _COMPARED, groups)]
    notes = dict.fromkeys(note for row in rows for note in row["notes"])
    few = list(notes)[:20]
    return section("comparison", "Comparison", *told, *([paragraph("To mind:"), items(few)] if few else []))


_SWEPT: Final = (
    "The best of a grid of settings of ordinary batching, found anew for each load: mostly the harder baseline."
)


def _untuned(runs: Sequence[Row]) -> str:
    """Its setting is that of its own runs: engines may be too small for the usual one."""
    policy: Row = next((run["policy"] for run in runs if run["role"] == "untuned"), {})
    batch, delay_us = policy.get("max_batch_size"), policy.get("max_queue_delay_microseconds")
    setting = [] if batch is None else [f"batches up to {batch}"]
    setting += [] if delay_us is None else [f"a delay of {delay_us / 1000:g} ms"]
    told = f": {', '.join(setting)}" if setting else ""
    return f"Ordinary batching as it is often left{told}. A gain over it alone says little."


_COMPARED: Final = (
    Column("policy", numeric=False),
    Column("ratio, 95 % interval", about="mean response, policy over baseline"),
    Column(
        "1 is even",
        numeric=False,
        about="the ratio and its interval on a logarithmic scale; left of the line the policy answers sooner",
    ),
    Column("", numeric=False),
    Column("means, ms", about="policy / baseline"),
    Column("p99 ratio"),
    Column("p"),
    Column("seeds"),
    Column("", numeric=False),
)


def by_load(rows: Sequence[Row], key: Any = None) -> list[tuple[str, list[Row]]]:
    """Title and rows of each load, by rising rate; the rows of one in their order."""
    groups: dict[str, list[Row]] = {}
    loads: dict[str, Row] = {}
    for row in rows:
        load = row if key is None else key(row)
        load = {name: load[name] for name in ("process", "utilization", "request_rate_rps")}
        groups.setdefault(load_id(load), []).append(row)
        loads.setdefault(load_id(load), load)
    order = sorted(groups, key=lambda identity: float(loads[identity]["request_rate_rps"]))
    return [(load_title(loads[identity]), groups[identity]) for identity in order]


def _mean_ms(row: Row) -> float:
    return float(row["mean_ms"])


def _run_cells(row: Row, goodput: bool, unanswered: bool, fastest: bool) -> list[str]:
    mean = mean_cell(row["mean_ms"], row["mean_ci95_ms"])
    return [
        policy_cell(row["policy"], row["role"]),
        element("b", mean) if fastest else mean,
        percentile_text(row["p50_ms"], "p50"),
        percentile_text(row["p99_ms"], "p99"),
        *([share_text(row["answered"])] if unanswered else []),
        number(row["request_throughput_rps"]),
        *([number(row["goodput_rps"])] if goodput else []),
        str(row["seeds"]),
        flags(row["invalid"], row["saturated"], row["seeds"]),
    ]


def _compared(row: Row, scale: float) -> list[str]:
    outcome = outcome_of(row)
    interval = row["ratio_ci95"]
    return [
        row["policy"],
        ratio_cell(row),
        _span(row["ratio"], interval, scale, outcome.kind),
        mark(outcome.value, outcome.kind),
        f"{number(row['mean_ms'])} / {number(row['baseline_mean_ms'])}",
        _ratio_text(row["p99_ratio"]),
        p_text(row["p"]),
        str(row["seeds"]),
        _comparison_flags(row),
    ]


def _ratio_text(ratio: float | None) -> str:
    """Three decimals, fewer of what is large."""
    return NOTHING if ratio is None else f"{ratio:.3f}" if ratio < 10 else f"{ratio:,.1f}"


def ratio_cell(row: Row | None) -> str:
    """A comparison's ratio with its interval; nothing for one that is not there."""
    if row is None or row["ratio"] is None or row["ratio_ci95"] is None:
        return _ratio_text(None if row is None else row["ratio"])
    low, high = (_ratio_text(bound) for bound in row["ratio_ci95"])
    return joined((_ratio_text(row["ratio"]), " ", element("small", f"{low} to {high}")))


def _comparison_flags(row: Row) -> str:
    found = [] if row["valid"] else [mark("INVALID", "bad")]
    who = [name for name, flag in (("policy", "saturated"), ("baseline", "baseline_saturated")) if row[flag]]
    if who:
        found.append(mark(f"{' and '.join(who)} saturated", "warn"))
    return joined(part for each in found for part in (each, " ")) if found else ""


def _scale(rows: Sequence[Row]) -> float:
    """Half the width of the scale, in powers of e: from a factor of 1.1 to one of 4; what lies beyond is cut there."""
    ratios = [row["ratio"] for row in rows if row["ratio"]]
    farthest = max((abs(math.log(ratio)) for ratio in ratios), default=0.0)
    return min(max(1.15 * farthest, math.log(1.1)), math.log(4))


def _span(ratio: float | None, interval: Sequence[float] | None, scale: float, kind: str) -> str:
    """The interval as a bar and the ratio as a dot, 1 in the middle; for the eye, since the numbers stand beside it."""
    if ratio is None:
        return ""

    def x(value: float) -> float:
        away = math.log(value) / scale if value > 0 else -1.0
        return round(60 + 54 * min(1.0, max(-1.0, away)), 1)

    low, high = interval if interval is not None else (ratio, ratio)
    return element(
        "svg",
        element("line", x1=60, x2=60, y1=0, y2=16, class_="even"),
        element("line", x1=_attribute(x(low)), x2=_attribute(x(high)), y1=8, y2=8, class_="bar"),
        element("circle", cx=_attribute(x(ratio)), cy=8, r="3.5"),
        viewBox="0 0 120 16",
        width=120,
        height=16,
        aria_hidden="true",
        class_=f"span {kind}",
    )


def _attribute(value: float) -> str:
    return f"{value:g}"
