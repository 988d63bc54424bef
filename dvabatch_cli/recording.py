"""A recorded run of a results folder: which one is meant, and all that is needed to let it happen again."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from dvabatch import __version__
from dvabatch.batching.history import History, Step
from dvabatch.batching.limits import Limits
from dvabatch.batching.profile import Profile
from dvabatch.reporting.comparison import run_key
from dvabatch.reporting.labels import load_label, policy_id, policy_labels
from dvabatch.reporting.report import read_report
from dvabatch.runtime.trace import MAX_LINE_CHARS, TraceError, read_profile, retrace
from dvabatch_cli.config import Config
from dvabatch_cli.config.fill import frozen
from dvabatch_cli.config.policies import AnyPolicy, PolicySection
from dvabatch_cli.errors import CommandError
from dvabatch_cli.wiring import Contender, contender_of, limits_of

Say = Callable[[str], None]
_POLICY: TypeAdapter[AnyPolicy] = TypeAdapter(PolicySection)
_LISTED: Final = 12
_TOLD_AFTER_S: Final = 2.0
_TOLD_EVERY_S: Final = 10.0
_CLOSE: Final = 1e-6  # loads are reported to six digits


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of a folder's runs is meant; None: any. A load is a utilization or a rate in queries a second."""

    policy: str | None = None
    load: float | None = None
    seed: int | None = None

    def admits(self, run: Mapping[str, Any], label: str) -> bool:
        policy, load = run["policy"], run["load"]
        loads = (load["utilization"], load["request_rate_rps"])
        return (
            self.policy in {None, label, policy.get("name"), policy["scheduler_type"]}
            and (self.load is None or any(_equal(each, self.load) for each in loads))
            and self.seed in {None, load.get("seed")}
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """One run with its trace."""

    folder: Path
    trace: Path
    key: str
    report: Mapping[str, Any]
    run: Mapping[str, Any]
    label: str
    limits: Limits
    profile: Profile
    contender: Contender

    @property
    def title(self) -> str:
        load = self.run["load"]
        return f"{self.label} at {load_label(load)}, seed {load.get('seed')}"

    def history(self) -> History:
        """A fresh machine for this run."""
        return History(self.limits, self.profile, self.contender.policy)

    def steps(self, history: History, say: Say) -> Iterator[Step]:
        """The run once more.

        Raises:
            CommandError: the trace is damaged, of another run, or the machine now decides otherwise.
        """
        try:
            yield from retrace(_lines(self.trace, say), history)
        except (TraceError, UnicodeDecodeError) as error:
            version = self.report.get("dvabatch_version")
            other = "" if version == __version__ else f" (recorded by version {version}, this is {__version__})"
            raise CommandError(f"{self.trace}: {error}{other}") from error


def open_recording(place: Path, choice: Choice) -> Recording:
    """The run that is meant by a results folder, or by a trace in its traces/.

    Raises:
        CommandError: there is none, or there are several.
    """
    if place.is_file() and place.suffix == ".jsonl":
        folder = place.absolute().parent.parent
        report = read_report(folder)
        found = [run for run in report["runs"] if run_key(run) == place.stem]
        if not found:
            raise CommandError(
                f"{place} is no trace of a run in {folder / 'report.json'}; give the results folder, or a trace in its traces/"
            )
        if not choice.admits(found[0], _labels(report)[policy_id(found[0]["policy"])]):
            raise CommandError(
                f"{place} is the trace of another run than --policy, --load and --seed say; leave them out"
            )
        return _opened(folder, report, found[0])
    folder = place if place.is_dir() else place.parent
    report = read_report(place)
    traced = [run for run in report["runs"] if _trace_of(folder, run).is_file()]
    if not traced:
        real = any(run.get("admission") not in {None, "simulated"} for run in report["runs"])
        raise CommandError(
            f"{folder} holds no traces; record them: dvabatch {'bench' if real else 'simulate'} CONFIG --trace -o {folder}"
        )
    labels = _labels(report)
    found = [run for run in traced if choice.admits(run, labels[policy_id(run["policy"])])]
    if len(found) != 1:
        told = f"{len(found)} traced runs fit" if found else "no traced run fits"
        raise CommandError(
            f"{folder}: {told}; choose one by --policy, --load and --seed:\n{_listed(found or traced, labels)}"
        )
    return _opened(folder, report, found[0])


def _opened(folder: Path, report: Mapping[str, Any], run: Mapping[str, Any]) -> Recording:
    trace = _trace_of(folder, run)
    try:
        with trace.open(encoding="utf-8") as file:
            profile = read_profile(file.readline(MAX_LINE_CHARS))
        options = _POLICY.validate_python(frozen(run["policy"]))
        config = Config.model_validate(report["config"])  # its files need not be here any more
        contender = contender_of(options, profile, run["role"])
        limits = limits_of(config, profile.stages, contender.max_queue, contender.drop_late)
    except TraceError as error:
        raise CommandError(f"{trace}: {error}") from error
    except (ValidationError, UnicodeDecodeError, ValueError) as error:
        raise CommandError(f"{trace} and {folder / 'report.json'} do not make a run: {error}; run it again") from error
    label = _labels(report)[policy_id(run["policy"])]
    return Recording(folder, trace, trace.stem, report, run, label, limits, profile, contender)


def _trace_of(folder: Path, run: Mapping[str, Any]) -> Path:
    """A key is a plain file name, made of the run's facts: nothing in a report leads elsewhere."""
    return folder / "traces" / f"{run_key(run)}.jsonl"


def _labels(report: Mapping[str, Any]) -> dict[str, str]:
    return policy_labels([run["policy"] for run in report["runs"]])


def _listed(runs: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    """What chooses each of these runs, a line each."""
    lines = []
    for run in runs[:_LISTED]:
        load = run["load"]
        level = load["request_rate_rps"] if load["utilization"] is None else load["utilization"]
        name = shlex.quote(labels[policy_id(run["policy"])])
        lines.append(f"  --policy {name} --load {level:g} --seed {load.get('seed')}")
    more = len(runs) - _LISTED
    return "\n".join([*lines, f"  and {more} more"] if more > 0 else lines)


def _equal(one: float | None, other: float) -> bool:
    return one is not None and abs(one - other) <= _CLOSE * max(abs(one), abs(other))


def _lines(trace: Path, say: Say) -> Iterator[str]:
    """The lines of a trace, none longer than the longest that is read; says how long it will take where that is long."""
    began_s, read, told_s = time.monotonic(), 0, 0.0
    size = trace.stat().st_size
    with trace.open(encoding="utf-8", newline="\n") as file:
        while line := file.readline(MAX_LINE_CHARS + 1):
            yield line
            read += len(line)
            spent_s = time.monotonic() - began_s
            if spent_s > told_s + (_TOLD_EVERY_S if told_s else _TOLD_AFTER_S):
                told_s = spent_s
                left_s = spent_s * max(size - read, 0) / read
                say(f"replaying {trace.name}: {min(1.0, read / size):.0%}, about {left_s:.0f} s left")
