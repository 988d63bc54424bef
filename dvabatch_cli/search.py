"""`dvabatch search`: the highest rate at which every policy holds an objective."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvabatch_cli.app import app
from dvabatch_cli.bench import ConfigName
from dvabatch_cli.config import Config
from dvabatch_cli.console import err, one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import Exit
from dvabatch_cli.load_options import LoadOptions, load_with_options
from dvabatch_cli.options import (
    Burstiness,
    DryRun,
    Duration,
    Json,
    MaxConcurrency,
    NumRequests,
    Quick,
    Results,
    Resume,
    Set,
)
from dvabatch_cli.overrides import Override, set_over, typed
from dvabatch_cli.searching.limit_rows import limit_table
from dvabatch_cli.searching.limit_run import LimitRun, Plan, Searched
from dvabatch_cli.searching.slo import Slo, slo_of

_TOLERANCE = 0.01
_QUICK_REQUESTS, _QUICK_SECONDS, _QUICK_TOLERANCE = 400, 10.0, 0.05


@app.command(epilog="Example: dvabatch search resnet_152_table.json --slo p99:5ms --simulate")
def search(
    config: ConfigName,
    slo: Annotated[
        str | None,
        typer.Option("--slo", metavar="QUANTILE:TIME", help="The objective, e.g. p99:50ms [the config's slo]."),
    ] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="In virtual time, on the profile.")] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            min=0.001,
            max=0.5,
            help=f"How narrow: a part of the rate [{_TOLERANCE}; with --quick {_QUICK_TOLERANCE}].",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="The most runs of one rate.")] = 5,
    output: Results = None,
    overrides: Set = None,
    burstiness: Burstiness = None,
    num_requests: NumRequests = None,
    duration: Duration = None,
    max_concurrency: MaxConcurrency = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The first seed of a rate's runs; the others count up from it.")
    ] = None,
    quick: Quick = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find the highest open-loop rate at which every policy, and every baseline, holds a service level objective.

    Rates double until one misses, then the bracket is halved. A rate has as many runs as it takes to tell, --seeds at the
    most, and both ends of the bracket are run again with fresh ones. The config's process and lengths are kept, its rates are
    not used. Exit code 5 says that a policy misses the objective at every rate, 4 that a run was invalid, 130 that the search
    was interrupted; --resume goes on.
    """
    with one_message():
        options = LoadOptions((), burstiness, num_requests, duration, max_concurrency, seed)
        loaded = load_with_options(config, overrides or (), options, quick=quick, small=_small)
        objective = slo_of(slo, loaded)
        if tolerance is None:
            tolerance = _QUICK_TOLERANCE if quick else _TOLERANCE
        folder = output or Path("results") / f"{loaded.name}_search{'_simulated' if simulate else ''}"
        run = LimitRun(loaded, objective, folder, Plan(simulate, tolerance, seeds, quick), speaker(as_json))
        if dry_run:
            plan = run.foresee()
            if as_json:
                print_json(plan)
        else:
            searched = run.run(resume=resume)
            _show(searched, objective, as_json=as_json)
            said: list[str | Override] = [*(overrides or ()), *options.overrides()]
            held = [row["low_rps"] for row in searched.document["limits"] if row["low_rps"] is not None]
            if held:
                said = set_over(said, f"load.request_rate={max(held):.6g}")
            say_next(typed(f"dvabatch {'simulate' if simulate else 'bench'}", config, said), as_json)
            if searched.code is not Exit.FINE:
                raise typer.Exit(searched.code)


def _small(config: Config) -> Config:
    """Quick, but with runs long enough to show a p99."""
    quick = config.quick()
    few = {
        "num_requests": min(config.load.num_requests or _QUICK_REQUESTS, _QUICK_REQUESTS),
        "max_duration_s": min(config.load.max_duration_s or _QUICK_SECONDS, _QUICK_SECONDS),
    }
    return quick.model_copy(update={"load": quick.load.model_copy(update=few)}).in_folder(config.folder)


def _show(searched: Searched, slo: Slo, *, as_json: bool) -> None:
    """The table or the document, and what went wrong."""
    rows = searched.document["limits"]
    if as_json:
        print_json({**searched.document, "folder": str(searched.folder), "exit_code": int(searched.code)})
    elif rows:
        out.print(limit_table(rows, slo))
    for trouble in searched.troubles:
        err.print(trouble, style="red", markup=False)
    if not as_json:
        err.print(f"all rates: {searched.folder / 'search.json'}", markup=False)
