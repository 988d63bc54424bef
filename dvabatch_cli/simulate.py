"""`dvabatch simulate`: the same config and machine in virtual time, on a profile."""

from __future__ import annotations

from pathlib import Path

from dvabatch_cli.app import app
from dvabatch_cli.bench import ConfigName, foresee, show
from dvabatch_cli.config import load_config
from dvabatch_cli.console import one_message, speaker
from dvabatch_cli.experiment import Experiment
from dvabatch_cli.options import DryRun, Json, Quick, Results, Resume, Set, Trace


@app.command(epilog="Example: dvabatch simulate resnet_152_table.json --set load.utilization=0.5")
def simulate(
    config: ConfigName,
    output: Results = None,
    overrides: Set = None,
    quick: Quick = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    trace: Trace = False,
    as_json: Json = False,
) -> None:
    """Run an experiment in virtual time, by the same machine and the measured (or a tabled) profile.

    The report has the same form; it is a function of config, seed, profile and version, byte for byte.
    """
    with one_message():
        loaded = load_config(config, overrides or ())
        if quick:
            loaded = loaded.quick()
        folder = output or Path("results") / f"{loaded.name}_simulated"
        experiment = Experiment(loaded, folder, simulated=True, quick=quick, say=speaker(as_json), trace=trace)
        if dry_run:
            foresee(experiment, as_json=as_json)
        else:
            show(experiment.run(resume=resume), as_json=as_json)
