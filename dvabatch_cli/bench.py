"""`dvabatch bench`: run an experiment for real, prove the answers, write the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from dvabatch.reporting.comparison_answers import comparison_of
from dvabatch.reporting.ends import unanswered_lines
from dvabatch.reporting.table import comparison_table, run_rows, runs_table
from dvabatch_cli.app import app
from dvabatch_cli.console import err, one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import Exit
from dvabatch_cli.experiment import Experiment, Finished
from dvabatch_cli.load_options import LoadOptions, load_with_options
from dvabatch_cli.options import (
    Burstiness,
    DryRun,
    Duration,
    Goodput,
    Json,
    MaxConcurrency,
    NoCudaGraph,
    NumRequests,
    NumRuns,
    Quick,
    RequestRate,
    Results,
    Resume,
    Seed,
    Set,
    Trace,
)

ConfigName = Annotated[str, typer.Argument(metavar="CONFIG", help="A config file, or the name of one in configs/.")]


def experiment_command(*, simulated: bool) -> Callable[..., None]:
    """What `bench` and `simulate` do: they take the same options, said here once."""

    def command(
        config: ConfigName,
        output: Results = None,
        overrides: Set = None,
        request_rate: RequestRate = None,
        burstiness: Burstiness = None,
        num_requests: NumRequests = None,
        duration: Duration = None,
        max_concurrency: MaxConcurrency = None,
        seed: Seed = None,
        num_runs: NumRuns = None,
        goodput: Goodput = None,
        quick: Quick = False,
        resume: Resume = False,
        dry_run: DryRun = False,
        no_cuda_graph: NoCudaGraph = False,
        trace: Trace = False,
        as_json: Json = False,
    ) -> None:
        with one_message():
            options = LoadOptions(
                request_rate or (),
                burstiness,
                num_requests,
                duration,
                max_concurrency,
                seed,
                num_runs,
                goodput or (),
            )
            sets = (*(overrides or ()), *(["engine.cuda_graphs=false"] if no_cuda_graph else []))
            loaded = load_with_options(config, sets, options, quick=quick)
            folder = output or Path("results") / (f"{loaded.name}_simulated" if simulated else loaded.name)
            experiment = Experiment(
                loaded, folder, simulated=simulated, quick=quick, say=speaker(as_json), trace=trace, live=not as_json
            )
            if dry_run:
                _foresee(experiment, as_json=as_json)
            else:
                _show(experiment.run(resume=resume), as_json=as_json)

    return command


bench = app.command(
    "bench",
    epilog="Example: dvabatch bench resnet_152_04.json --quick",
    help="""Run an experiment on real engines against an open-loop load, check the answers, and write the report.

    What the config needs and is not there (model, stages, engines, profile) is made first. Exit code 4 says that a run is
    invalid, 130 that it was interrupted; what was measured is kept either way, and --resume goes on.
    """,
)(experiment_command(simulated=False))


def _foresee(experiment: Experiment, *, as_json: bool) -> None:
    """What a run would do, without doing it."""
    plan = experiment.foresee()
    if as_json:
        print_json(plan)


def _show(finished: Finished, *, as_json: bool) -> None:
    """The report's tables, what the answers proved, and the exit code."""
    report = finished.report
    if as_json:
        print_json({"folder": str(finished.folder), "runs": run_rows(report), "comparison": comparison_of(report),
                    "correctness": report["correctness"], "exit_code": int(finished.code)})  # fmt: skip
    elif report["runs"]:
        out.print(runs_table(report))
        if report["comparison"]:
            out.print(comparison_table(report))
        for line in unanswered_lines(report):
            out.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
        proof = report["correctness"]
        if proof is not None:
            verdict = "all right" if proof["passed"] else "WRONG ANSWERS"
            out.print(
                f"answers: {proof['checked']} checked against the whole model on each query alone, {verdict} "
                f"(largest error {proof['max_rel_error']:.1e} of the largest |reference|, tolerance {proof['tolerance']:.0e})",
                highlight=False,
            )
    bounded = [run for run in report["runs"] if run.get("held_back", {}).get("queries")]
    if bounded:
        held, offered = (
            sum(run[part][of] for run in bounded) for part, of in (("held_back", "queries"), ("counts", "offered"))
        )
        err.print(
            f"held back: {held:,} of {offered:,} queries, since at most {bounded[0]['load']['max_concurrency']:,} may be under"
            " way; responses count from the schedule",
            style="yellow",
            markup=False,
        )
    for run in report["runs"]:
        if not run["valid"]:
            err.print(
                f"INVALID {run['policy'].get('name')}: {'; '.join(run['invalid_reasons'])}", style="red", markup=False
            )
    if not as_json:
        err.print(f"report and figures: {finished.folder}", markup=False)
    say_next(f"dvabatch report {finished.folder}", as_json)
    if finished.code is not Exit.FINE:
        raise typer.Exit(finished.code)
