"""`dvabatch figure`: the figures of the evaluation, from results that are there or are made now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dvabatch.reporting.canonical import pretty
from dvabatch.reporting.figure_files import captions, drawing, save
from dvabatch.reporting.files import write_text
from dvabatch_cli.app import app
from dvabatch_cli.config.suggest import did_you_mean, listed
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError, Exit
from dvabatch_cli.options import Json
from dvabatch_cli.studies import STUDIES, Run, Study, estimate, results

ALL = "all"
RESULTS = Path("results")
From = Annotated[Path | None, typer.Option("--from", help="Folder of results; nothing is run then.")]


@app.command(epilog="Example: dvabatch figure latency --quick")
def figure(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(STUDIES)}; or {ALL}.")],
    quick: Annotated[
        bool, typer.Option("--quick/--full", help="Small runs of their own, to see that it works; or the whole [full].")
    ] = False,
    source: From = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the figures [results/figures].")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, how long and how large it is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Draw a figure of the evaluation, as SVG and PNG, and write its metrics as JSON.

    Without --from, runs whose results are missing in results/ are run first, or gone on with; figures share runs. A
    figure of quick runs is called NAME_quick and says so below.
    """
    with one_message():
        studies = _studies(name)
        missing = [] if source is not None and not dry_run else _missing(studies, source or RESULTS, quick)
        if dry_run:
            _foresee(studies, missing, quick, as_json)
            return
        for run in missing:
            results.config_of(run, quick)  # what is wrong with the last is said before the first takes its hour
        say, code, found = speaker(as_json), Exit.FINE, []
        for study in studies:
            mine = [run for run in study.runs if run in missing]
            code = _run(mine, quick, say) or code
            missing = [run for run in missing if run not in mine]
            found.append(_draw(study, source or RESULTS, quick, output or (source or RESULTS) / "figures"))
            if found[-1]["invalid"]:
                say(f"{study.name}: {found[-1]['invalid']} runs are invalid: crossed out, and in no claim's number")
        if as_json:
            print_json({"figures": found})
        else:
            for file in (file for each in found for file in each["files"]):
                out.print(file, markup=False, highlight=False)
        say_next("dvabatch check" if not quick else f"dvabatch figure {name}", as_json)
        if code is not Exit.FINE:
            raise typer.Exit(code)


def command_of(study: Study, quick: bool) -> str:
    """What makes the results of a figure."""
    return f"dvabatch figure {study.name}{' --quick' if quick else ''}"


def _studies(name: str) -> list[Study]:
    if name == ALL:
        return list(STUDIES.values())
    if name not in STUDIES:
        hint = did_you_mean(name, STUDIES)
        raise CommandError(
            f"got the figure {name!r}, wanted {listed(STUDIES)}, or {ALL}" + (f": {hint}" if hint else "")
        )
    return [STUDIES[name]]


def _missing(studies: Sequence[Study], folder: Path, quick: bool) -> list[Run]:
    """The runs whose results are not there, each once."""
    runs = dict.fromkeys(run for study in studies for run in study.runs)
    return [run for run in runs if not results.is_there(run, folder, quick)]


def _foresee(studies: Sequence[Study], missing: Sequence[Run], quick: bool, as_json: bool) -> None:
    """What would be run, without running it."""
    told = [(run, estimate.of_runs([run], quick)) for run in missing]
    total = estimate.of_runs(missing, quick)
    if as_json:
        runs = [{"run": run.folder_name(quick), "points": each.points, "seconds": round(each.seconds),
                 "bytes": round(each.size_bytes)} for run, each in told]  # fmt: skip
        print_json({"figures": [study.name for study in studies], "missing": runs,
                    "seconds": round(total.seconds), "bytes": round(total.size_bytes)})  # fmt: skip
        return
    for run, each in told:
        how = "simulated" if run.simulated else "measured on this machine"
        out.print(f"{run.folder_name(quick)}: {each}, {how}", markup=False, highlight=False)
    drawn = f"{len(studies)} figure{'s' if len(studies) > 1 else ''}"
    if missing:
        out.print(f"in all: {total}, then {drawn}; the cache takes up to 2 GB besides", markup=False)
    else:
        out.print(f"nothing is missing: {drawn} to draw", markup=False)
    say_next(f"dvabatch figure {ALL if len(studies) > 1 else studies[0].name}{' --quick' if quick else ''}", False)


def _run(missing: Sequence[Run], quick: bool, say: Callable[[str], None]) -> Exit:
    """Runs what is missing; INVALID if one of them is, so that it can be said once all is drawn."""
    code = Exit.FINE
    for run in missing:
        say(f"running {run.folder_name(quick)}: {estimate.of_runs([run], quick)}")
        ended = results.make(run, RESULTS, quick, say)
        if ended is Exit.INTERRUPTED:
            raise CommandError("interrupted; the same command goes on with what is kept", Exit.INTERRUPTED)
        code = ended or code
    return code


def _draw(study: Study, folder: Path, quick: bool, place: Path) -> dict[str, Any]:
    """One figure's files and metrics."""
    reports = {run.name: results.read(run, folder, quick, command_of(study, quick)) for run in study.runs}
    metrics = study.metrics(reports)
    name = f"{study.name}_quick" if quick else study.name
    with drawing():
        drawn = study.draw(reports)
        if drawn is None:
            raise CommandError(
                f"the results of the figure {study.name} in {folder} have nothing to draw: no run completed"
            )
        files = save(drawn, place, name, captions(list(reports.values()), quick=quick))
    facts = {
        "figure": study.name,
        "claim": study.claim,
        "quick": quick,
        "runs": [run.folder_name(quick) for run in study.runs],
        "invalid": sum(not run["valid"] for report in reports.values() for run in report["runs"]),
        "metrics": metrics,
    }
    write_text(place / f"{name}.json", pretty(facts, ("figure", "claim", "quick", "runs", "invalid", "metrics")))
    return {**facts, "files": [str(file) for file in (*files, place / f"{name}.json")]}
