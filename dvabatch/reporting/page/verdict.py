"""Who wins at which load: the policies of a report against the harder of its baselines.

A policy is held against ordinary batching at its best: of the swept settings and the untuned one, whichever answers sooner at
that load. Mostly that is a swept one; where a sweep in simulation has missed, it is not, and a gain over the swept setting
alone would be none. A win or a loss is an interval that excludes 1. Who answers fewer of the queries than a baseline does
worse than who answers all of them later: no ratio of the rest counts. Comparisons with an invalid run count nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from dvabatch.reporting.comparison_answers import comparison_of, fewer_answers
from dvabatch.reporting.labels import load_id, policy_id, policy_labels

Row = Mapping[str, Any]

ORDINARY: Final = frozenset({"NORMAL", "NORMAL_INPUT"})  # today's batching, whoever asks for it


class Outcome(Enum):
    """How a policy does against a baseline at a load; the value is the word for it."""

    SOONER = "sooner"
    LATER = "later"
    OPEN = "undecided"
    FEWER = "fewer answers"

    @property
    def kind(self) -> str:
        """The class of the page's style that shows it."""
        return {Outcome.SOONER: "good", Outcome.OPEN: "quiet"}.get(self, "bad")


@dataclass(frozen=True, slots=True)
class AtLoad:
    """One policy at one load: its comparison with each baseline, by role."""

    against: Mapping[str, Row]

    def __post_init__(self) -> None:
        if not self.against:
            raise ValueError("a policy at a load has no comparison, wanted one with a baseline at least")

    @property
    def hardest(self) -> Row:
        """The comparison with the baseline that answers soonest, or more of the queries; of equal ones the swept."""
        return max(self.against.values(), key=lambda row: (_ratio(row), row["baseline_role"] == "swept"))

    @property
    def policy(self) -> str:
        return str(self.hardest["policy"])

    @property
    def load(self) -> Mapping[str, Any]:
        load: Mapping[str, Any] = self.hardest["load"]
        return load

    @property
    def ratio(self) -> float:
        """Without end where it answers fewer of the queries."""
        return _ratio(self.hardest)

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.hardest)

    @property
    def saturated(self) -> bool:
        return bool(self.hardest["saturated"] or self.hardest["baseline_saturated"])


@dataclass(frozen=True, slots=True)
class Standing:
    """What the comparisons of a report amount to. `best` has the policy with the lowest ratio at each load, by rising rate."""

    policies: tuple[str, ...]
    points: tuple[AtLoad, ...]
    best: tuple[AtLoad, ...]
    compared: int
    left_out: int  # of those compared, since a run was invalid
    swept: bool  # whether any setting was swept


def outcome_of(row: Row) -> Outcome:
    """By the share answered, and then by the interval alone; without one nothing is decided."""
    if fewer_answers(row):
        return Outcome.FEWER
    interval = row["ratio_ci95"]
    if interval is not None and interval[1] < 1:
        return Outcome.SOONER
    if interval is not None and interval[0] > 1:
        return Outcome.LATER
    return Outcome.OPEN


def standing_of(report: Mapping[str, Any]) -> Standing:
    """Of the policies that are not ordinary batching themselves; of those too, where there are no others."""
    ordinary = _ordinary_labels(report["runs"])
    compared = [row for row in comparison_of(report) if row["ratio"] is not None or fewer_answers(row)]
    staged = [row for row in compared if row["policy"] not in ordinary] or compared
    sound = [row for row in staged if row["valid"]]
    points: dict[tuple[str, str], dict[str, Row]] = {}
    for row in sound:
        points.setdefault((load_id(row["load"]), row["policy"]), {})[row["baseline_role"]] = row
    found = tuple(AtLoad(against) for against in points.values())
    return Standing(
        policies=tuple(dict.fromkeys(str(row["policy"]) for row in staged)),
        points=found,
        best=tuple(_best(found)),
        compared=len(staged),
        left_out=len(staged) - len(sound),
        swept=any(row["baseline_role"] == "swept" for row in staged),
    )


def _ratio(row: Row) -> float:
    return math.inf if fewer_answers(row) else float(row["ratio"])


def _best(points: Sequence[AtLoad]) -> list[AtLoad]:
    at: dict[str, list[AtLoad]] = {}
    for point in points:
        at.setdefault(load_id(point.load), []).append(point)
    best = [min(group, key=lambda point: (point.ratio, -float(point.hardest["answered"]))) for group in at.values()]
    return sorted(best, key=lambda point: float(point.load["request_rate_rps"]))


def _ordinary_labels(runs: Sequence[Row]) -> set[str]:
    labels = policy_labels([run["policy"] for run in runs])
    return {labels[policy_id(run["policy"])] for run in runs if run["policy"]["scheduler_type"] in ORDINARY}
