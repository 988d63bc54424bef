"""Whether to believe the page: what was invalid and why, saturated, unsteady, and how many answers were checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dvabatch.reporting.ends import ends_of, unanswered_lines
from dvabatch.reporting.labels import load_label, policy_id, policy_labels
from dvabatch.reporting.series import Point, is_simulated

from .cells import mark, number, share
from .markup import NOTHING, Column, Html, Row, folded, items, joined, paragraph, section, table

_MOST_ROWS: Final = 200


def validity_section(report: Mapping[str, Any], found: Sequence[Point]) -> Html:
    """Every way in which a number of this page may not be what it seems."""
    runs = report["runs"]
    if not runs:
        return section("validity", "Validity", paragraph("Nothing was measured."))
    invalid = [run for run in runs if not run["valid"]]
    parts = [
        paragraph(
            joined((mark(f"All {len(runs)} runs are valid", "good"), _why_valid(runs)))
            if not invalid
            else joined(
                (
                    mark(f"{len(invalid)} of {len(runs)} runs are INVALID", "bad"),
                    ": what was measured there does not hold. Do not quote them.",
                )
            )
        )
    ]
    labels = policy_labels([run["policy"] for run in runs])
    if invalid:
        rows = [[*_who(run, labels), " ".join(run["invalid_reasons"]) or "no reason is given"] for run in invalid]
        parts.append(_table("Invalid runs and why", "why", rows))
    parts += _saturated(found)
    parts += _unsteady(runs, labels)
    parts += _lost(report)
    return section("validity", "Validity", *parts)


def answers_section(report: Mapping[str, Any]) -> Html:
    """How many answers were compared with the whole model's."""
    checked = report["correctness"]
    if checked is None:
        why = (
            "No answer was checked: a simulation has none, and a latency table no model."
            if report["model"] is None or is_simulated(report)
            else "No answer was checked in this report."
        )
        return section("answers", "Answers checked", paragraph(why))
    verdict = mark("all were right", "good") if checked["passed"] else mark("some were WRONG", "bad")
    told = (
        f"{checked['checked']:,} answers, a seeded sample of every run, were compared with the whole, unsliced model run on"
        " that query alone: "
    )
    largest, tolerance = checked.get("max_rel_error"), checked.get("tolerance")
    errors = (
        f". The largest error relative to the answer's magnitude is {_exact(largest)}, where at most {_exact(tolerance)} is"
        f" allowed; the largest absolute error is {_exact(checked.get('max_abs_error'))}."
    )
    return section("answers", "Answers checked", paragraph(joined((told, verdict, errors))))


def _why_valid(runs: Sequence[Mapping[str, Any]]) -> str:
    if all(run.get("admission") == "simulated" for run in runs):
        return ": in virtual time no sender is late."
    return ": every sender was on time and at its rate, and no answer that was checked was wrong."


def _who(run: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    role = "" if run["role"] == "policy" else f" ({run['role']})"
    seed = run["load"].get("seed")
    return [labels[policy_id(run["policy"])] + role, load_label(run["load"]), NOTHING if seed is None else str(seed)]


def _table(caption: str, last: str, rows: Sequence[Row]) -> Html:
    columns = [Column("policy", numeric=False), Column("load"), Column("seed"), Column(last, numeric=False)]
    told = table(caption, columns, [(None, rows[:_MOST_ROWS])])
    return told if len(rows) <= _MOST_ROWS else joined((told, paragraph(f"And {len(rows) - _MOST_ROWS:,} more.")))


def _saturated(found: Sequence[Point]) -> list[Html]:
    """By point: a finding about a policy at a load, however many seeds show it."""
    points = [point for point in found if point.saturated]
    if not points:
        return [paragraph("No policy was saturated: every backlog came back.")]
    rows = [[point.policy, point.load_label, f"{point.saturated}/{len(point.runs)}"] for point in points]
    columns = [Column("policy", numeric=False), Column("load"), Column("seeds saturated")]
    told = (
        mark(f"{len(points)} of {len(found)} policies at a load are saturated", "warn"),
        ": they could not keep up. That is a finding, and valid; a response there grows with the length of the run.",
    )
    shown = table("Saturated policies", columns, [(None, rows[:_MOST_ROWS])])
    return [paragraph(joined(told)), shown if len(rows) <= 12 else folded("Which policies, at which loads", shown)]


def _unsteady(runs: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[Html]:
    """What the host did meanwhile: its speed, the GPU's clocks, and points that had to be measured again."""
    parts = []
    paced = [run for run in runs if run.get("twin") and run["twin"]["speed"]]
    unsteady = [run for run in paced if not run["twin"]["steady"]]
    changes = [max(_change(*both) for both in _shown(run["twin"])) for run in paced]
    if unsteady:
        rows = [
            [*_who(run, labels), "; ".join(" then ".join(map(number, both)) for both in _shown(run["twin"]))]
            for run in unsteady
        ]
        parts.append(
            paragraph(
                joined(
                    (
                        mark(f"At {len(unsteady)} of {len(runs)} runs the host was unsteady", "warn"),
                        f": the time of lone launches, or of two beside each other, over the profile's changed by up to "
                        f"{share(max(changes))} meanwhile.",
                    )
                )
            )
        )
        parts.append(
            folded(
                "Which runs",
                _table(
                    "Unsteady runs",
                    "lone launches in the first half, then in the second; two at once before, then after",
                    rows,
                ),
            )
        )
    elif changes:
        parts.append(paragraph(f"The host was steady: its speed changed by {share(max(changes))} at most over a run."))
    gpu = [run["gpu"] for run in runs if run.get("gpu")]
    for key, what in (
        ("clocks_changed", "the GPU's clocks changed during"),
        ("throttled", "the GPU was held down during"),
    ):
        count = sum(bool(each.get(key)) for each in gpu)
        if count:
            parts.append(paragraph(mark(f"{what[:1].upper()}{what[1:]} {count} of {len(gpu)} runs", "warn"), "."))
    again = sum(run.get("attempts", 1) > 1 for run in runs)
    if again:
        parts.append(
            paragraph(
                f"{again} of {len(runs)} runs were measured more than once, because the sender was late or the host unsteady or"
                " slow; the attempt that was disturbed least is reported."
            )
        )
    return parts


def _shown(twin: Mapping[str, Any]) -> list[Sequence[float]]:
    """What the host showed twice: its speed, and how two launches disturb each other, where that is known."""
    return [both for both in (twin["speed"], twin.get("disturbance")) if both]


def _change(before: float, after: float) -> float:
    """As a share of the smaller."""
    return abs(after - before) / min(before, after) if min(before, after) else math.inf


def _lost(report: Mapping[str, Any]) -> list[Html]:
    """Queries that got no answer, and launches that were given up."""
    all_runs = ends_of(report["runs"])
    if all_runs.unanswered:
        told = ", ".join(f"{count:,} {how}" for how, count in all_runs.unanswered.items())
        first = paragraph(mark(f"Not answered of {all_runs.offered:,} queries: {told}", "warn"), ".")
    else:
        first = paragraph(f"All {all_runs.offered:,} queries were answered.")
    lines = unanswered_lines(report)
    more = [f"And {len(lines) - _MOST_ROWS:,} more policies."] if len(lines) > _MOST_ROWS else []
    return [first, *([items([*lines[:_MOST_ROWS], *more])] if lines else [])]


def _exact(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2g}"
