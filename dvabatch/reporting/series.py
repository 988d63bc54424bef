"""The runs of a report as people look at them: a point is one policy at one load, over all its seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import student
from .labels import load_id, load_label, policy_id, policy_labels

Run = Mapping[str, Any]


def is_simulated(report: Mapping[str, Any]) -> bool:
    """Whether any run took place in virtual time."""
    return any(run.get("admission") == "simulated" for run in report["runs"])


@dataclass(frozen=True, slots=True)
class Point:
    """One policy at one load; every number is a mean over the seeds, and None where one of them has none."""

    policy: str
    role: str
    runs: tuple[Run, ...]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"the point of {self.policy} has no run, wanted at least one")

    @property
    def load(self) -> Mapping[str, Any]:
        load: Mapping[str, Any] = self.runs[0]["load"]
        return load

    @property
    def load_label(self) -> str:
        return load_label(self.load)

    @property
    def rate_rps(self) -> float:
        return math.fsum(float(run["load"]["request_rate_rps"]) for run in self.runs) / len(self.runs)

    @property
    def invalid(self) -> int:
        return sum(not run["valid"] for run in self.runs)

    @property
    def saturated(self) -> int:
        return sum(run["saturated"] for run in self.runs)

    @property
    def mean_ms(self) -> float | None:
        return self.average("response_ms", "mean")

    @property
    def mean_ci95_ms(self) -> tuple[float, float] | None:
        """Student's t over several seeds, cut at 0; the bootstrap interval of a single one."""
        if len(self.runs) == 1:
            interval = self.runs[0]["response_ms"]["mean_ci95"]
            return None if interval is None else (float(interval[0]), float(interval[1]))
        means = self._values("response_ms", "mean")
        over_seeds = None if means is None else student.mean_interval(means)
        return None if over_seeds is None else (max(0.0, over_seeds[0]), over_seeds[1])

    def average(self, *path: str) -> float | None:
        values = self._values(*path)
        return None if values is None else math.fsum(values) / len(values)

    def cdf_ms(self) -> list[float] | None:
        """The quantiles 0, 0.01, .. 1 of the response, averaged over the seeds level by level."""
        lists = [run["response_cdf_ms"] for run in self.runs]
        if any(one is None for one in lists):
            return None
        return [math.fsum(level) / len(level) for level in zip(*lists, strict=True)]

    def batches(self) -> list[Counter[int]]:
        """Per stage, rows a launch -> launches, summed over the seeds; the stages in their order."""
        stages: dict[int, Counter[int]] = {}
        for run in self.runs:
            for stage in run["stages"]:
                counter = stages.setdefault(stage["index"], Counter())
                counter.update({int(rows): count for rows, count in stage["batch_histogram"].items()})
        return [stages[index] for index in sorted(stages)]

    def operations(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for run in self.runs:
            total.update(run["operations"])
        return dict(total)

    def _values(self, *path: str) -> list[float] | None:
        values = []
        for run in self.runs:
            value: Any = run
            for key in path:
                value = value[key]
            if value is None:
                return None
            values.append(float(value))
        return values


def points(runs: Sequence[Run]) -> list[Point]:
    """All points: policies in the order of their first run, each by rising load."""
    labels = policy_labels([run["policy"] for run in runs])
    groups: dict[tuple[str, str, str], dict[str, list[Run]]] = {}
    for run in runs:
        by_load = groups.setdefault((policy_id(run["policy"]), run["role"], run["load"]["process"]), {})
        by_load.setdefault(load_id(run["load"]), []).append(run)
    found = []
    several = len({process for _, _, process in groups}) > 1
    for (identity, role, process), by_load in groups.items():
        label = labels[identity] if role == "policy" else f"{labels[identity]} ({role})"
        label += f", {process}" if several else ""
        of_policy = [Point(label, role, tuple(group)) for group in by_load.values()]
        found += sorted(of_policy, key=lambda point: point.rate_rps)
    return found


def contenders(runs: Sequence[Run], by: tuple[str, ...] = ("response_ms", "mean")) -> list[Point]:
    """As `points`, but each baseline is one line, called by its role: of several settings that are swept, at each load
    the one whose value `by` is the lowest. It is then the hardest that ordinary batching can be to beat there."""
    found = points(runs)
    chosen = [point for point in found if point.role == "policy"]
    for role in ("untuned", "swept"):
        by_load: dict[str, list[Point]] = {}
        for point in (point for point in found if point.role == role):
            by_load.setdefault(load_id(point.load), []).append(point)
        best = [min(group, key=lambda point: _or_last(point.average(*by))) for group in by_load.values()]
        chosen += sorted((replace(point, policy=role) for point in best), key=lambda point: point.rate_rps)
    return chosen


def _or_last(value: float | None) -> float:
    return math.inf if value is None else value


def mean_rows(batches: Counter[int]) -> float | None:
    """The mean batch size of a histogram; None if nothing was launched."""
    launches = batches.total()
    return sum(rows * count for rows, count in batches.items()) / launches if launches else None


def rows_at(batches: Counter[int], share: float) -> int | None:
    """The batch size that the share of launches does not exceed (nearest rank); None if nothing was launched."""
    wanted, seen = share * batches.total(), 0
    for rows in sorted(batches):
        seen += batches[rows]
        if seen >= wanted:
            return rows
    return None
