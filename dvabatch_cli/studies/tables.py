"""The runs that most figures rest on: every policy at seven loads, simulated on the latency tables of an H100."""

from __future__ import annotations

from typing import Final

from dvabatch_cli.studies.study import Reports, Run

TITLES: Final = {"resnet_152": "ResNet-152", "unet": "UNet", "bert_base": "BERT-base"}
_SMALL: Final = ("load.utilization=[0.3,0.7]", "load.num_requests=1000", "load.seeds=[1]")
_SMALL_GRID: Final = ("engine.max_batch=4", "engine.executors_per_stage=4")  # the fewer settings a sweep has to try
# AUTO's settings for the quick form: enough to see it change with the load, and nothing has to be tuned.
_EARLY = '{"up_to": 0.5, "max_batch_size": 4, "instances": 2, "in_room": true, "catching_up": true%s}'
_FILLED = '{"up_to": 1000, "max_batch_size": 4, "max_queue_delay_microseconds": 250, "instances": 2%s}'


def auto_settings(mixed: bool = False) -> str:
    """A list of two settings, as JSON."""
    more = ', "mixed": true' if mixed else ""
    return f"[{_EARLY % more}, {_FILLED % more}]"


def _run(network: str, auto: int, *, sweep: bool) -> Run:
    name = f"policies_{network}_table"
    settings = f"policies[{auto}].settings={auto_settings(mixed=network == 'bert_base')}"
    quick = (*_SMALL, settings, *(_SMALL_GRID if sweep else ['baselines=["untuned"]']))
    return Run(name, f"{name}.json", simulated=True, quick=quick)


# The sweep takes most of a quick run: one network shows that it works.
RUNS: Final = {
    "resnet_152": _run("resnet_152", 4, sweep=True),
    "unet": _run("unet", 4, sweep=False),
    "bert_base": _run("bert_base", 6, sweep=False),
}


def titled(reports: Reports) -> Reports:
    """The reports of these runs under the titles of their networks."""
    return {TITLES[network]: reports[run.name] for network, run in RUNS.items()}
