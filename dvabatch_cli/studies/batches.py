"""Figure `batches`: what stage-wise batching does when the load steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from dvabatch.reporting.batches_over_time import batch_metrics, batches_figure
from dvabatch_cli.studies.study import Reports, Run, Study
from dvabatch_cli.studies.tables import auto_settings

RUN: Final = Run(
    "steps_unet_table",
    "steps_unet_table.json",
    simulated=True,
    trace=True,
    quick=("load.steps=[[0.05, 0.3], [0.05, 0.9], [0.05, 0.3]]", f"policies[2].settings={auto_settings()}"),
)


def _draw(reports: Reports) -> Figure | None:
    report = reports[RUN.name]
    return batches_figure(report, _launches(report))


def _launches(report: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """By policy, in the order of the config."""
    return {policy["name"]: report["launches"][policy["name"]] for policy in report["config"]["policies"]}


STUDY = Study(
    "batches",
    "batches grow and shrink with the load, and each stage has its own",
    (RUN,),
    _draw,
    lambda reports: batch_metrics(_launches(reports[RUN.name])),
)
