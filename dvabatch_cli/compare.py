"""`dvabatch compare`: two sets of results held against each other, from what was saved; nothing is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import typer

from dvabatch.reporting.contrast import Asked, Contrast, Responses, contrast, in_words
from dvabatch.reporting.contrast_table import contrast_table
from dvabatch.reporting.metric_ratio import METRICS
from dvabatch.reporting.pairing import Pairing, paired
from dvabatch.reporting.side import Side, open_side
from dvabatch.reporting.surroundings import Difference, differences
from dvabatch.reporting.verdict import Verdict
from dvabatch_cli.app import app
from dvabatch_cli.config.suggest import did_you_mean, listed
from dvabatch_cli.console import err, one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError, Exit
from dvabatch_cli.options import Json
from dvabatch_cli.percent import share_of

_APART_IN_TIME = (
    "the two sides were measured one after the other, and no interval knows what the host did in between: policies of one"
    " config take turns, and are compared with --policy and --against"
)
_KEPT_RUNS = 32  # whose responses stay in memory: one side's runs are often met by several of the other
_BYTES_PER_S = 25e6  # of records read, on one slow core


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rows, where the two sides differ, and how it ends."""

    rows: Sequence[Contrast]
    pairing: Pairing
    apart: Sequence[Difference]
    apart_in_time: bool
    code: Exit


@app.command(epilog="Example: dvabatch compare results/before results/after --fail-if-slower 3%")
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A results folder, or the report.json in it.")],
    new: Annotated[
        Path | None, typer.Argument(metavar="NEW", help="What is held against it [OLD itself, with --against].")
    ] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="Only this policy of NEW.")] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Hold NEW's policies against this one of OLD [their like].")
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help=f"What the verdict goes by: {', '.join(METRICS)}.")] = "mean",
    min_effect: Annotated[str, typer.Option("--min-effect", help="The smallest difference of interest.")] = "1%",
    fail_if_slower: Annotated[
        str | None,
        typer.Option("--fail-if-slower", metavar="PERCENT", help="Exit with 5 if NEW is slower by this much."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold NEW's response times against OLD's, policy by policy, where both met the same schedule: ratios with intervals, a
    permutation test, and a verdict in words. All from saved reports and raw records.

    Two policies of one results folder: dvabatch compare results/demo --policy LOAD_DVA --against NORMAL

    With --fail-if-slower, exit code 5 says that NEW is slower for certain, and by that much as measured; 4 that a run is
    invalid, so that this cannot be judged.
    """
    with one_message():
        asked, gate = _asked(metric, min_effect, fail_if_slower)
        if new is None and against is None:
            raise CommandError(
                "got one set of results, wanted two; or name two policies of it with --policy and --against"
            )
        before = open_side(old)
        after = before if new is None else open_side(new)
        outcome = _judged(before, after, policy, against, asked, gate, as_json=as_json)
        if as_json:
            print_json(_document(before, after, outcome, asked, gate))
        else:
            _show(outcome, asked, gate)
        say_next(_next(outcome, after), as_json)
        if outcome.code is not Exit.FINE:
            raise typer.Exit(outcome.code)


def _asked(metric: str, min_effect: str, fail_if_slower: str | None) -> tuple[Asked, float | None]:
    """What the options ask for; the gate is a share, or None."""
    if metric not in METRICS:
        raise CommandError(
            f"--metric: got {metric!r}, wanted {listed(METRICS)}: {did_you_mean(metric, METRICS)}".rstrip(": ")
        )
    least = share_of(min_effect, "--min-effect")
    gate = None if fail_if_slower is None else share_of(fail_if_slower, "--fail-if-slower")
    if gate is not None and gate < least:
        raise CommandError(
            f"--fail-if-slower {fail_if_slower} is below the smallest difference of interest, {min_effect}: lower --min-effect"
            " too"
        )
    return Asked(metric, least), gate


def _judged(
    before: Side,
    after: Side,
    policy: str | None,
    against: str | None,
    asked: Asked,
    gate: float | None,
    *,
    as_json: bool,
) -> Outcome:
    """Every row, and how it ends."""
    say = speaker(as_json)
    old_runs = before.runs
    new_runs = old_runs if after is before else after.runs
    pairing = paired(old_runs, new_runs, against, policy)
    size = sum(
        before.record_bytes(pair.old) + after.record_bytes(pair.new)
        for match in pairing.matches
        for pair in match.pairs
    )
    count = len(pairing.matches)
    say(
        f"{count} comparison{'s' if count > 1 else ''}, {size / 1e6:.0f} MB of records, about {size / _BYTES_PER_S:.0f} s"
    )
    rows = []
    read_old, read_new = _reader(before), _reader(after)
    for number, match in enumerate(pairing.matches, 1):
        rows.append(contrast(match, read_old, read_new, asked))
        say(f"[{number}/{count}] {in_words(rows[-1])}")
    apart = [] if after is before else differences(before.report, after.report)
    real = any(run.get("admission") != "simulated" for run in after.runs)
    return Outcome(rows, pairing, apart, real and after.folder != before.folder, _code(rows, gate))


def _reader(side: Side) -> Responses:
    by_key = lru_cache(_KEPT_RUNS)(lambda index: side.responses(side.report["runs"][index]))
    places = {id(run): index for index, run in enumerate(side.report["runs"])}
    return lambda run: by_key(places[id(run)])


def _code(rows: Sequence[Contrast], gate: float | None) -> Exit:
    if gate is None:
        return Exit.FINE
    if any(row.slower_by(gate) for row in rows):
        return Exit.FAILED
    return Exit.INVALID if any(row.verdict is Verdict.INVALID for row in rows) else Exit.FINE


def _summary(rows: Sequence[Contrast]) -> str:
    """How often each verdict was given, the worst first."""
    order = (
        *(Verdict.INVALID, Verdict.FEWER_ANSWERS, Verdict.SLOWER),
        *(Verdict.CANNOT_TELL, Verdict.FASTER, Verdict.NO_DIFFERENCE),
    )
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{verdict.value}: {counts[verdict]} of {len(rows)}" for verdict in order if counts[verdict])


def _show(outcome: Outcome, asked: Asked, gate: float | None) -> None:
    rows = outcome.rows
    out.print(contrast_table(rows, asked.metric))
    out.print(_summary(rows), highlight=False)
    for note in dict.fromkeys(f"{row.match.policy}: {note}" for row in rows for note in row.notes):
        err.print(note, style="yellow", markup=False)
    for told in outcome.pairing.left_out:
        err.print(f"left out: {told}", style="yellow", markup=False)
    if outcome.apart_in_time:
        err.print(f"note: {_APART_IN_TIME}", style="yellow", markup=False)
    for each in outcome.apart:
        err.print(f"differs: {each.name}: {each.old} before, {each.new} now", style="yellow", markup=False)
    if gate is None:
        return
    for row in rows:
        if row.slower_by(gate):
            err.print(f"FAILED: {in_words(row)}", style="red", markup=False)
        elif row.verdict is Verdict.CANNOT_TELL and row.may_be_slower_by(gate):
            err.print(
                f"not ruled out that it is slower by {100 * gate:g} %: {in_words(row)}", style="yellow", markup=False
            )


def _document(before: Side, after: Side, outcome: Outcome, asked: Asked, gate: float | None) -> dict[str, Any]:
    return {
        "old": _told(before),
        "new": _told(after),
        "metric": asked.metric,
        "min_effect": asked.min_effect,
        "fail_if_slower": gate,
        "rows": [{**row.to_json(), "in_words": in_words(row)} for row in outcome.rows],
        "left_out": list(outcome.pairing.left_out),
        "measured_apart": outcome.apart_in_time,
        "differences": [{"name": each.name, "old": each.old, "new": each.new} for each in outcome.apart],
        "verdict": _summary(outcome.rows),
        "exit_code": int(outcome.code),
    }


def _told(side: Side) -> dict[str, Any]:
    return {"path": str(side.path), **{key: side.report.get(key) for key in ("name", "created_at", "dvabatch_version")}}


def _next(outcome: Outcome, after: Side) -> str:
    needed = [row.runs_needed for row in outcome.rows if row.runs_needed is not None]
    if needed:
        return (
            f"measure {max(needed)} runs of each: the commands that made them, with --num-runs {max(needed)} --resume"
        )
    return f"dvabatch report {after.folder}"
