"""Figure `ablation`: what each operation is worth alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from dvabatch.reporting.ratios import ratio_grid, ratio_metrics
from dvabatch_cli.studies.study import Reports, Study
from dvabatch_cli.studies.tables import RUNS, TITLES

_BY_OPERATION: Final = ("HYBRID_DVA", "LOAD_DVA", "OPERATOR_DVA", "NORMAL")
_BY_LENGTH: Final = ("INPUT_DVA", "NORMAL_INPUT", "NORMAL")


def _panels(reports: Reports) -> list[tuple[str, str, Mapping[str, Any], tuple[str, ...]]]:
    """Network, title, report and policies of each panel."""
    panels = [(network, TITLES[network], reports[run.name], _BY_OPERATION) for network, run in RUNS.items()]
    lengths = reports[RUNS["bert_base"].name]
    return [*panels, ("bert_base", f"{TITLES['bert_base']}, lengths 8 to 128", lengths, _BY_LENGTH)]


def _draw(reports: Reports) -> Figure | None:
    return ratio_grid([(title, report, policies) for _, title, report, policies in _panels(reports)], "swept")


def _metrics(reports: Reports) -> dict[str, float]:
    found: dict[str, float] = {}
    for network, _, report, policies in _panels(reports):
        found |= ratio_metrics(report, network, "swept", policies)
    return found


STUDY = Study(
    "ablation",
    "stretch, split and lanes against ordinary batching at its best: whole, each alone, and neither",
    tuple(RUNS.values()),
    _draw,
    _metrics,
)
