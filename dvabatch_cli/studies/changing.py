"""Figure `changing`: AUTO against the best fixed setting of ordinary batching, on loads that change while it looks."""

from __future__ import annotations

from typing import Final

from dvabatch.reporting.changes import change_figure, change_ratio
from dvabatch_cli.studies.study import Reports, Run, Study
from dvabatch_cli.studies.tables import TITLES, auto_settings

_LOADS: Final = (0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 0.95)
_STEPS: Final = ",".join(f"[0.25,{load}]" for load in _LOADS)
# What each kind of load sets over the config, which is the first of them.
KINDS: Final = {
    "bursts_20": (),
    "bursts_200": ("load.dwell_ms=[200,200]",),
    "steps": (
        'load.process="step"',
        "load.states=null",
        "load.dwell_ms=null",
        "load.num_requests=null",
        f"load.steps=[{_STEPS}]",
    ),
}
SAID: Final = {"bursts_20": "bursts, 20 ms", "bursts_200": "bursts, 200 ms", "steps": "steps, 0.25 s"}


def _run(network: str, kind: str) -> Run:
    settings = f"policies[0].settings={auto_settings(mixed=network == 'bert_base')}"
    steps = "load.steps=[[0.05,0.2],[0.05,0.8]]" if kind == "steps" else "load.num_requests=1500"
    quick = (*KINDS[kind], settings, steps, "load.seeds=[1]", 'baselines=["untuned"]')
    return Run(
        f"changing_{network}_{kind}", f"changing_{network}_table.json", simulated=True, quick=quick, full=KINDS[kind]
    )


RUNS: Final = {(network, kind): _run(network, kind) for network in TITLES for kind in KINDS}


def _ratios(reports: Reports, role: str) -> dict[tuple[str, str], tuple[float, tuple[float, float] | None]]:
    found = {key: change_ratio(reports[run.name], "AUTO", role) for key, run in RUNS.items()}
    return {key: ratio for key, ratio in found.items() if ratio is not None}


def _metrics(reports: Reports) -> dict[str, float]:
    """`auto_over_swept.unet.bursts_20`: mean response over the baseline's."""
    return {
        f"auto_over_{role}.{network}.{kind}": ratio
        for role in ("swept", "untuned")
        for (network, kind), (ratio, _) in _ratios(reports, role).items()
    }


STUDY = Study(
    "changing",
    "on loads that change, AUTO answers as soon as the one setting of ordinary batching that is best for them",
    tuple(RUNS.values()),
    lambda reports: change_figure(
        {
            role: {(TITLES[network], SAID[kind]): ratio for (network, kind), ratio in _ratios(reports, role).items()}
            for role in ("swept", "untuned")
        }
    ),
    _metrics,
)
