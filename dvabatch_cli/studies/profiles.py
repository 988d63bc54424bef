"""Figures `favored` and `tax`: what the measured profiles say of batch sizes and of slicing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dvabatch.reporting.figure_files import model_title
from dvabatch.reporting.profile_figures import favored_figure, tax_figure
from dvabatch_cli.studies import fidelity, lengths, tables
from dvabatch_cli.studies.study import Reports, Study

_MEASURED: Final = (fidelity.RUNS["resnet_152"], fidelity.RUNS["minilm"], lengths.RUN)


def _tabled(reports: Reports) -> dict[str, Mapping[str, Any]]:
    return {f"{title}, H100": report["profile"] for title, report in tables.titled(reports).items()}


def _measured(reports: Reports) -> dict[str, Mapping[str, Any]]:
    """Two quick runs may be of one model: the config tells them apart."""
    measured = [reports[run.name] for run in _MEASURED]
    return {f"{model_title(report)} ({report['config']['name']})": report["profile"] for report in measured}


def _favored_batches(reports: Reports) -> dict[str, float]:
    """`smallest_of_alone.unet.1`: the least time that a stage takes for a row, over its time at batch 1."""
    found = {}
    for network, run in tables.RUNS.items():
        for stage in reports[run.name]["profile"]["stages"]:
            latency_ms = {int(size): float(ms) for size, ms in stage["latency_ms"].items()}
            lane = "" if stage["lane"] is None else f".{stage['lane']}"
            least = min(ms / size for size, ms in latency_ms.items()) / latency_ms[1]
            found[f"smallest_of_alone.{network}{lane}.{stage['stage']}"] = least
    return found


def _taxes(reports: Reports) -> dict[str, float]:
    """`tax.minilm.8`: the chained stages' time over the whole model's."""
    return {
        f"tax.{run.name}.{size}": float(tax)
        for run in _MEASURED
        for size, tax in (reports[run.name]["profile"]["slicing_tax"] or {}).items()
    }


FAVORED = Study(
    "favored",
    "what a stage gains of a batch, and the size that each favours",
    tuple(tables.RUNS.values()),
    lambda reports: favored_figure(_tabled(reports)),
    _favored_batches,
)
TAX = Study(
    "tax",
    "what slicing costs, by batch",
    _MEASURED,
    lambda reports: tax_figure(_measured(reports)),
    _taxes,
)
