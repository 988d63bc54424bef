"""Figure `peak`: the highest load within an objective."""

from __future__ import annotations

from typing import Final

from dvabatch.reporting.peak import peak_figure, peak_metrics, slo_of
from dvabatch_cli.studies.study import Reports, Study
from dvabatch_cli.studies.tables import RUNS, titled

TIMES: Final = 5.0  # the objective: p99 of at most so many times the whole model at batch 1


def _metrics(reports: Reports) -> dict[str, float]:
    found: dict[str, float] = {}
    for network, run in RUNS.items():
        report = reports[run.name]
        found |= peak_metrics(report, network, slo_of(report, TIMES))
    return found


STUDY = Study(
    "peak",
    "the highest load at which p99 stays within five times the model's own time, between the loads by straight lines",
    tuple(RUNS.values()),
    lambda reports: peak_figure(titled(reports), TIMES),
    _metrics,
)
