"""`dvabatch simulate`: the same config and machine in virtual time, on a profile."""

from __future__ import annotations

from dvabatch_cli.app import app
from dvabatch_cli.bench import experiment_command

simulate = app.command(
    "simulate",
    epilog="Example: dvabatch simulate resnet_152_table.json --set load.utilization=0.5",
    help="""Run an experiment in virtual time, by the same machine and the measured (or a tabled) profile.

    The report has the same form; it is a function of config, seed, profile and version, byte for byte.
    """,
)(experiment_command(simulated=True))
