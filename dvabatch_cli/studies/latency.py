"""Figure `latency`: what AUTO gains over ordinary batching, at every load."""

from __future__ import annotations

from dvabatch.reporting.load_grid import load_grid
from dvabatch.reporting.ratios import ratio_metrics
from dvabatch_cli.studies.study import Reports, Study
from dvabatch_cli.studies.tables import RUNS, titled


def _metrics(reports: Reports) -> dict[str, float]:
    found: dict[str, float] = {}
    for network, run in RUNS.items():
        for role in ("swept", "untuned"):
            found |= ratio_metrics(reports[run.name], network, role)
    return found


STUDY = Study(
    "latency",
    "AUTO answers as soon as the best ordinary batching of each load, and far sooner than ordinary batching untuned",
    tuple(RUNS.values()),
    lambda reports: load_grid(titled(reports)),
    _metrics,
)
