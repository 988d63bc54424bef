"""`dvabatch search`: the highest rate at which every policy holds an objective."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvabatch_cli.app import app
from dvabatch_cli.bench import ConfigName
from dvabatch_cli.config import Config, load_config
from dvabatch_cli.console import err, one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import Exit
from dvabatch_cli.options import DryRun, Json, Quick, Results, Resume, Set
from dvabatch_cli.searching.limit_rows import limit_table
from dvabatch_cli.searching.limit_run import LimitRun, Plan, Searched
from dvabatch_cli.searching.slo import Slo, slo_of

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
        float, typer.Option("--tolerance", min=0.001, max=0.5, help="How narrow: a part of the rate.")
    ] = 0.01,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="The most runs of one rate.")] = 5,
    output: Results = None,
    overrides: Set = None,
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
        loaded = load_config(config, overrides or ())
        objective = slo_of(slo, loaded)
        if quick:
            loaded, tolerance = _small(loaded), max(tolerance, _QUICK_TOLERANCE)
        folder = output or Path("results") / f"{loaded.name}_search{'_simulated' if simulate else ''}"
        run = LimitRun(loaded, objective, folder, Plan(simulate, tolerance, seeds, quick), speaker(as_json))
        if dry_run:
            plan = run.foresee()
            if as_json:
                print_json(plan)
        else:
            _show(run.run(resume=resume), objective, config, simulate=simulate, as_json=as_json)


def _small(config: Config) -> Config:
    """Quick, but with runs long enough to show a p99."""
    quick = config.quick()
    few = {"num_requests": min(config.load.num_requests or _QUICK_REQUESTS, _QUICK_REQUESTS)}
    return quick.model_copy(
        update={"load": quick.load.model_copy(update={**few, "max_duration_s": _QUICK_SECONDS})}
    ).in_folder(config.folder)


def _show(searched: Searched, slo: Slo, config: str, *, simulate: bool, as_json: bool) -> None:
    """The table or the document, what went wrong, and the exit code."""
    rows = searched.document["limits"]
    if as_json:
        print_json({**searched.document, "folder": str(searched.folder), "exit_code": int(searched.code)})
    elif rows:
        out.print(limit_table(rows, slo))
    for trouble in searched.troubles:
        err.print(trouble, style="red", markup=False)
    if not as_json:
        err.print(f"all rates: {searched.folder / 'search.json'}", markup=False)
    held = [row["low_rps"] for row in rows if row["low_rps"] is not None]
    rate = f" --set load.request_rate={max(held):.6g}" if held else ""
    say_next(f"dvabatch {'simulate' if simulate else 'bench'} {config}{rate}", as_json)
    if searched.code is not Exit.FINE:
        raise typer.Exit(searched.code)
