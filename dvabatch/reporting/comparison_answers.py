"""What a row of a comparison says of the queries that were answered, and what it may say of response times then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .ends import ends_of, share_text
from .labels import policy_id, policy_labels
from .series import Run
from .verdict import answers_fewer

_SHARES: Final = frozenset({"answered", "baseline_answered"})
_OF_RESPONSES: Final = ("ratio", "ratio_ci95", "p", "method", "p99_ratio")


def fewer_answers(row: Mapping[str, Any]) -> bool:
    """Whether a row's policy left so many queries without an answer that none of its response times counts."""
    return answers_fewer(row["answered"], row["baseline_answered"])


def as_answered(row: Mapping[str, Any], mine: Sequence[Run], theirs: Sequence[Run]) -> dict[str, Any]:
    """The row with the shares that the policy and the baseline answered, and without what these do not bear."""
    answered, by_baseline = (float(f"{ends_of(side).answered:.6g}") for side in (mine, theirs))
    told = {**row, "answered": answered, "baseline_answered": by_baseline}
    shares = f"the policy answered {share_text(answered)} of the queries, the baseline {share_text(by_baseline)}"
    if fewer_answers(told):
        note = f"{shares}: no ratio of the rest counts"
        return told | dict.fromkeys(_OF_RESPONSES) | {"notes": [note, *row["notes"]]}
    if answers_fewer(by_baseline, answered):
        note = f"{shares}: the ratio knows nothing of those that the baseline did not answer"
        return told | {"notes": [note, *row["notes"]]}
    return told


def comparison_of(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A report's comparison. Rows written before they had `answered` get it from the report's runs."""
    rows = [dict(row) for row in report.get("comparison", [])]
    if all(row.keys() >= _SHARES for row in rows):
        return rows
    labels = policy_labels([run["policy"] for run in report["runs"]])
    runs: dict[tuple[Any, ...], list[Run]] = {}
    for run in report["runs"]:
        who = labels[policy_id(run["policy"])], run["role"], *compared_load(run).values()
        runs.setdefault(who, []).append(run)

    def told(row: dict[str, Any]) -> dict[str, Any]:
        load = compared_load(row).values()
        mine = runs.get((row["policy"], "policy", *load), [])
        return as_answered(row, mine, runs.get((row["baseline"], row["baseline_role"], *load), []))

    return [row if row.keys() >= _SHARES else told(row) for row in rows]


def compared_load(run: Mapping[str, Any]) -> dict[str, Any]:
    """The load of a run, or of a row, as a row names it."""
    return {key: run["load"][key] for key in ("process", "request_rate_rps", "utilization")}
