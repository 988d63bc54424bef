"""`python -m tests.bench.uncrowded results/NAME`: what AUTO would win over an untuned server on a device without crowding.

Every run of the report is simulated twice more, on the same schedule: by the profile as it was measured, and with launches
beside each other that take as long as alone. The difference is the device's, and no policy's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.fidelity import again, profile_in, utilization_of


@dataclass(frozen=True, slots=True)
class Gain:
    """At one load, by how much of the untuned server's mean response AUTO was under it, and the best of all would be."""

    utilization: float
    measured: float
    crowded: float
    uncrowded: float
    best_uncrowded: float  # any policy or setting of the report, with the options it had

    @property
    def line(self) -> str:
        return (
            f"{self.utilization:4.0%}  under untuned: AUTO measured {self.measured:.0%}, simulated {self.crowded:.0%}, "
            f"without crowding {self.uncrowded:.0%} (the best of all {self.best_uncrowded:.0%})"
        )


def without_crowding(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report, with a profile in which launches beside each other take as long as alone."""

    def alone(curves: Any) -> Any:
        return {key: alone(value) for key, value in curves.items()} if isinstance(curves, dict) else 1.0

    return {**report, "profile": {**report["profile"], "crowding": alone(report["profile"]["crowding"])}}


def gains(report: Mapping[str, Any]) -> Iterator[Gain]:
    """One for each load of a report that has AUTO, the untuned server, and one seed."""
    crowded = _means(report, report)
    uncrowded = _means(report, without_crowding(report))
    measured: dict[float, dict[str, float]] = {}
    for run in report["runs"]:
        measured.setdefault(utilization_of(run, report), {})[run["policy"]["name"]] = run["response_ms"]["mean"]
    for utilization in sorted(measured):
        found, slow, free = measured[utilization], crowded[utilization], uncrowded[utilization]
        yield Gain(
            utilization,
            1 - found["AUTO"] / found["untuned"],
            1 - slow["AUTO"] / slow["untuned"],
            1 - free["AUTO"] / free["untuned"],
            1 - min(free.values()) / free["untuned"],
        )


def _means(report: Mapping[str, Any], stood_on: Mapping[str, Any]) -> dict[float, dict[str, float]]:
    """Simulated mean responses in ms, by load and policy."""
    means: dict[float, dict[str, float]] = {}
    for run, response_ms in again(report, profile_in(stood_on)):
        means.setdefault(utilization_of(run, report), {})[run["policy"]["name"]] = response_ms["mean"]
    return means


def main(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    if not report["profile"].get("crowding"):
        sys.exit(f"{folder}: its profile has no crowding, nothing to leave out; give the results of a run on a GPU")
    for each in gains(report):
        print(each.line)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
