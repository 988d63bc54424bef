"""Figure `losses`: where stage-wise batching with fixed options loses to ordinary batching at its best."""

from __future__ import annotations

from typing import Final

from matplotlib.figure import Figure

from dvabatch.reporting.ratios import ratio_grid, ratio_metrics
from dvabatch_cli.studies.study import Reports, Study
from dvabatch_cli.studies.tables import RUNS, TITLES

POLICIES: Final = ("LOAD_DVA", "HYBRID_DVA", "AUTO")


def _draw(reports: Reports) -> Figure | None:
    return ratio_grid([(TITLES[network], reports[run.name], POLICIES) for network, run in RUNS.items()], "swept")


def _metrics(reports: Reports) -> dict[str, float]:
    """The ratios, and `worst.load_dva`: the largest of each policy."""
    found: dict[str, float] = {}
    for network, run in RUNS.items():
        found |= ratio_metrics(reports[run.name], network, "swept", POLICIES)
    worst = {}
    for policy in (each.lower() for each in POLICIES):
        ratios = [ratio for name, ratio in found.items() if name.startswith(f"{policy}_over_")]
        if ratios:
            worst[f"worst.{policy}"] = max(ratios)
    return found | worst


STUDY = Study(
    "losses",
    "where LOAD_DVA and HYBRID_DVA with fixed options lose to ordinary batching at its best, and AUTO there",
    tuple(RUNS.values()),
    _draw,
    _metrics,
)
