"""Figure `fidelity`: the simulator against measurements on this machine's CPU."""

from __future__ import annotations

from typing import Final

from matplotlib.figure import Figure

from dvabatch.reporting.fidelity import Pair, fidelity_figure, fidelity_metrics, pairs
from dvabatch.reporting.figure_files import model_title
from dvabatch_cli.studies import lengths
from dvabatch_cli.studies.study import Reports, Run, Study
from dvabatch_cli.studies.tables import auto_settings

_SMALL: Final = ("load.request_rate=[300,600]", "load.num_requests=150", "load.seeds=[1]", "load.attempts=1")
_CNN: Final = (
    "model.network=tiny_resnet",
    "policies[2].favor_per_stage=null",
    "policies[3].favor_per_stage=null",
    "engine.max_batch=4",
    f"policies[4].settings={auto_settings()}",
)
_BERT: Final = (
    "model.network=tiny_bert",
    "inputs.input_ids.high=1000",
    "slicing.stages=2",
    "policies[4].favor_per_stage=null",
    "policies[5].favor_per_stage=null",
    "engine.max_batch=4",
    f"policies[6].settings={auto_settings(mixed=True)}",
)


RUNS: Final = {
    "resnet_152": Run("fidelity_resnet_152", "fidelity_resnet_152.json", simulated=False, quick=(*_SMALL, *_CNN)),
    "minilm": Run(
        "fidelity_minilm", "fidelity_minilm.json", simulated=False, quick=(*_SMALL, *_BERT), package=lengths.RUN.package
    ),
}


def _pairs(reports: Reports) -> dict[str, list[Pair]]:
    return {network: pairs(reports[run.name]) for network, run in RUNS.items()}


def _draw(reports: Reports) -> Figure | None:
    titles = {network: model_title(reports[run.name]) for network, run in RUNS.items()}
    return fidelity_figure({titles[network]: found for network, found in _pairs(reports).items()})


STUDY = Study(
    "fidelity",
    "the simulator comes within 7 % of the measured mean and within 15 % of the measured p99",
    tuple(RUNS.values()),
    _draw,
    lambda reports: fidelity_metrics(_pairs(reports)),
)
