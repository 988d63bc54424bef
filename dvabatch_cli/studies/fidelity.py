"""Figure `fidelity`: the simulator against measurements on this machine's CPU."""

from __future__ import annotations

from typing import Final

from matplotlib.figure import Figure

from dvabatch.reporting.fidelity import Pair, fidelity_figure, fidelity_metrics, pairs
from dvabatch.reporting.figure_files import model_title
from dvabatch_cli.studies.study import Reports, Run, Study
from dvabatch_cli.studies.tables import auto_settings

_SMALL: Final = ("load.request_rate=[300,600]", "load.num_requests=150", "load.seeds=[1]", "load.attempts=1")
_CNN: Final = (
    "model.network=tiny_resnet",
    "baselines=[]",
    "policies[2].favor_per_stage=null",
    "policies[3].favor_per_stage=null",
    "engine.max_batch=4",
    f"policies[4].settings={auto_settings()}",
)
_BERT: Final = (
    "model.network=tiny_bert",
    "inputs.input_ids.high=1000",
    "slicing.stages=2",
    "baselines=[]",
    "engine.max_batch=4",
    f"policies[6].settings={auto_settings(mixed=True)}",
)


def _both(network: str, quick: tuple[str, ...]) -> tuple[Run, Run]:
    """Measured, then simulated: the same config, profile and schedules."""
    name = f"fidelity_{network}"
    small = (*_SMALL, *quick)
    return (
        Run(name, f"{name}.json", simulated=False, quick=small),
        Run(f"{name}_simulated", f"{name}.json", simulated=True, quick=small),
    )


RUNS: Final = {"resnet_152": _both("resnet_152", _CNN), "bert_tiny": _both("bert_tiny", _BERT)}


def _pairs(reports: Reports) -> dict[str, list[Pair]]:
    return {
        network: pairs(reports[measured.name], reports[simulated.name])
        for network, (measured, simulated) in RUNS.items()
    }


def _draw(reports: Reports) -> Figure | None:
    titles = {network: model_title(reports[measured.name]) for network, (measured, _) in RUNS.items()}
    return fidelity_figure({titles[network]: found for network, found in _pairs(reports).items()})


STUDY = Study(
    "fidelity",
    "the simulator comes within 7 % of the measured mean and within 15 % of the measured p99",
    tuple(run for both in RUNS.values() for run in both),
    _draw,
    lambda reports: fidelity_metrics(_pairs(reports)),
)
