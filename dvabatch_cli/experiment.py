"""An experiment from its config to its report: every contender meets every schedule, each point is kept as soon as it ends."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from dvabatch import __version__
from dvabatch.reporting.comparison import compare, run_key
from dvabatch.reporting.figures import draw_all
from dvabatch.reporting.labels import point_key
from dvabatch.reporting.lock import ResultsLock
from dvabatch.reporting.points import load_points, load_responses
from dvabatch.reporting.report import assemble, write_report
from dvabatch_cli import baselines, tuning
from dvabatch_cli.config import Config
from dvabatch_cli.console import err
from dvabatch_cli.environment import environment
from dvabatch_cli.errors import CommandError, Exit
from dvabatch_cli.facts import engine_facts, ground_digests, model_facts, profile_facts
from dvabatch_cli.gpu import PreparedGpu
from dvabatch_cli.ground import Ground, lay_ground
from dvabatch_cli.host import CpuTimes, cpu_times
from dvabatch_cli.live import Display
from dvabatch_cli.marked_folder import MarkedFolder
from dvabatch_cli.measurer import Measurer, Point, said
from dvabatch_cli.open_bed import open_real_bed
from dvabatch_cli.pacing import DriverKind, Pacing, quick_pacing
from dvabatch_cli.result import load_facts
from dvabatch_cli.testbed import Bed, SimulatedBed
from dvabatch_cli.wiring import (
    Contender,
    LoadPoint,
    contender_of,
)
from dvabatch_cli.wiring import (
    load_points as points_of,
)
from dvabatch_cli.workspace import missing_of

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """An experiment's report, where it lies, and how it went."""

    report: Mapping[str, Any]
    folder: Path
    code: Exit


class Experiment:
    """One config, one results folder."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        *,
        simulated: bool,
        quick: bool,
        say: Say,
        trace: bool = False,
        live: bool = False,
    ) -> None:
        """With `trace`, every decision of each point is recorded in traces/ beside the points; with `live`, a point that is
        measured is drawn while it runs, on a terminal."""
        self._config = config
        self._folder = folder
        # Its mark says which config the points are of, and which stages and profile it stood on.
        self._kept = MarkedFolder(folder / "points")
        self._simulated = simulated
        self._sweep_rounds = baselines.QUICK if quick else baselines.FULL
        self._tuning = tuning.QUICK if quick else tuning.FULL
        self._say = say
        self._trace = trace
        self._display = Display(say, err if live else None)
        self._cpu_before: CpuTimes | None = None
        self._pacing: Pacing | None = None
        self._order: list[str] = []  # of all points, by their keys

    def run(self, *, resume: bool = False) -> Finished:
        """All points that are missing, then the report.

        A Ctrl-C keeps the points measured so far and reports them, with exit code 130.
        """
        config, say = self._config, self._say
        with ExitStack() as opened:
            opened.enter_context(ResultsLock(self._folder))
            self._check_folder(resume=resume)
            ground = lay_ground(config, say)
            self._check_ground(ground, resume=resume)
            say(f"capacity {ground.capacity_rps:.4g} queries/s (whole model, batches up to {config.engine.max_batch})")
            loads = points_of(config, ground.capacity_rps)
            self._estimate(loads)
            mark = {**self._marked(), **ground_digests(ground)}
            self._kept.open(json.dumps(mark, sort_keys=True), resume=resume)  # only now that it can start
            runs: dict[str, dict[str, Any]] = {}
            code = Exit.FINE
            try:
                self._measure(ground, loads, runs)
            except KeyboardInterrupt:
                for key, run in load_points(self._folder).items():
                    runs.setdefault(key, run)  # those from before whose turn had not come
                say(f"interrupted: {len(runs)} points are kept; go on with --resume")
                code = Exit.INTERRUPTED
            return self._finish(ground, runs, code)

    def _marked(self) -> dict[str, Any]:
        return {"config": self._config.resolved(), "simulated": self._simulated}

    def _check_folder(self, *, resume: bool) -> None:
        """A folder holds the points of one config."""
        if resume and not self._kept.may_go_on(lambda before: _goes_on(before, self._marked())):
            raise CommandError(
                f"{self._folder} holds points of another config; resume with the config that began it, "
                "or choose a folder with -o"
            )

    def _check_ground(self, ground: Ground, *, resume: bool) -> None:
        """A config names its table, its model and its engines; what they hold may have changed since."""
        if not resume or not load_points(self._folder):
            return
        before = json.loads(self._kept.said())  # `_check_folder` has read it
        told = {"stages": "other stages", "profile": "another profile" if ground.prepared else "another latency table"}
        changed = [told[name] for name, digests in ground_digests(ground).items() if before.get(name) != digests]
        if changed:
            raise CommandError(
                f"{self._folder} holds points measured on {' and '.join(changed)} than config {self._config.name} stands on "
                "now: leave out --resume to measure them again, or choose a folder with -o"
            )

    def _contenders(self) -> int:
        baselines_of = {"untuned": 1, "swept": baselines.BEST}
        return len(self._config.policies) + sum(baselines_of[name] for name in self._config.baselines)

    def foresee(self) -> dict[str, Any]:
        """What a run would make first, how many points it has, and how long they may last at the most."""
        load = self._config.load
        rates = len(load.utilization or load.request_rate or (None,))
        count = rates * len(load.seeds) * self._contenders()
        bounds = [bound for bound in (load.duration_s, load.max_duration_s) if bound is not None]
        missing = missing_of(self._config)
        missing += tuning.missing_of(self._config, self._say, self._tuning, profiled=not missing)
        for what in missing:
            self._say(f"would be made first: {what}")
        bound_s = None if self._simulated or not bounds else count * min(bounds)
        lasting = "" if bound_s is None else f", at most {_duration(bound_s)} of load"
        self._say(f"{count} points{lasting}, results in {self._folder}; nothing was measured")
        return {"folder": str(self._folder), "points": count, "at_most_s": bound_s, "missing": missing}

    def _estimate(self, loads: list[LoadPoint]) -> None:
        """How many points, and for real runs how long their schedules last."""
        config = self._config
        contenders = self._contenders()
        count = len(loads) * len(config.load.seeds) * contenders
        if self._simulated:
            self._say(f"{count} points to simulate")
            return
        lasting_s = sum(load.schedule(config, seed).duration_s for load in loads for seed in config.load.seeds)
        self._say(
            f"{count} points to measure, about {_duration(lasting_s * contenders)} of load, results in {self._folder}"
        )

    def _measure(self, ground: Ground, loads: list[LoadPoint], runs: dict[str, dict[str, Any]]) -> None:
        """Fills `runs` point by point. Contenders take turns on each schedule, so that a drift of the machine meets all."""
        known = load_points(self._folder)
        points = list(self._points(ground, loads))
        self._order = [point.key for point in points]
        with ExitStack() as opened:
            bed: Bed = SimulatedBed(self._config, ground.profile)
            if not self._simulated:
                self._cpu_before = cpu_times()
                driver: DriverKind = "polling" if isinstance(ground.prepared, PreparedGpu) else "threaded"
                self._pacing = quick_pacing(driver, self._config.load.admission)
                self._say(f"this host is {self._pacing.verdict}")
                bed = real = opened.enter_context(
                    open_real_bed(self._config, ground.profile, ground.prepared, self._say)
                )
                real.display = self._display
            measurer = Measurer(
                self._config,
                self._folder,
                bed,
                None if self._simulated else ground.profile,
                self._say,
                trace=self._trace,
            )
            number = 0
            for _, group in groupby(points, key=lambda point: id(point.schedule)):
                for point, run, told in measurer.turn(list(group), known):
                    number += 1
                    runs[point.key] = run
                    self._say(f"[{number}/{len(points)}] {said(point, run)} ({told})")

    def _points(self, ground: Ground, loads: list[LoadPoint]) -> Iterator[Point]:
        config = self._config
        policies = [
            contender_of(options, ground.profile)
            for options in tuning.with_settings(config, ground.profile, self._say, self._tuning)
        ]
        for load in loads:
            contenders = list(policies)
            if "untuned" in config.baselines:
                contenders.append(baselines.untuned(config, ground.profile))
            if "swept" in config.baselines:
                contenders += self._swept(ground, load)
            for turn, seed in enumerate(config.load.seeds):
                schedule = load.schedule(config, seed)
                # For real, another one begins each time: whoever goes first may meet another host than whoever goes last.
                first = 0 if self._simulated else turn % len(contenders)
                for contender in contenders[first:] + contenders[:first]:
                    facts = load_facts(config, load, schedule)
                    key = point_key(dict(contender.options), facts, contender.role)
                    yield Point(load, schedule, contender, key)

    def _swept(self, ground: Ground, load: LoadPoint) -> list[Contender]:
        return baselines.swept(self._config, ground.profile, load, rounds=self._sweep_rounds, say=self._say)

    def _finish(self, ground: Ground, runs: Mapping[str, dict[str, Any]], code: Exit) -> Finished:
        """The report of what was measured, figures included."""
        config = self._config
        in_order = [key for key in self._order if key in runs]  # whoever was done first
        runs = {key: runs[key] for key in dict.fromkeys([*in_order, *runs])}
        responses = {run_key(run): load_responses(self._folder, key) for key, run in runs.items()}
        report = assemble(
            name=config.name,
            dvabatch_version=__version__,
            config=config.resolved(),
            model=model_facts(ground),
            engine=engine_facts(config, ground),
            profile=profile_facts(ground),
            correctness=_correctness(runs.values()),
            runs=list(runs.values()),
            comparison=compare(list(runs.values()), responses),
        )
        meta = {
            "created_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join(["dvabatch", *sys.argv[1:]]),
            "environment": self._environment(),
        }
        write_report(self._folder, report, meta)
        if runs:
            draw_all({**report, **meta}, self._folder)
        if code is Exit.FINE and not all(run["valid"] for run in runs.values()):
            code = Exit.INVALID
        return Finished({**report, **meta}, self._folder, code)

    def _environment(self) -> dict[str, Any]:
        """Where this took place, and for real runs how punctual the host was before and what was stolen from it meanwhile."""
        before, after = self._cpu_before, cpu_times()
        steal_share = None if before is None or after is None else after.steal_share_since(before)
        return environment(steal_share=steal_share, pacing=None if self._pacing is None else self._pacing.to_json())


def _goes_on(before: str, now: Mapping[str, Any]) -> bool:
    """Whether points of the config marked `before` belong to the one marked `now`: it is the same, perhaps with more seeds."""
    try:
        marked, new = json.loads(before), json.loads(json.dumps(now))
        old = {name: marked[name] for name in new}
        seeds = [set(each["config"]["load"].pop("seeds")) for each in (old, new)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False  # it is damaged: whose points these are nobody knows
    return seeds[0] <= seeds[1] and bool(old == new)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _correctness(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What checking found over all points; None where nothing was checked."""
    checks = [run["correctness"] for run in runs if run.get("correctness") is not None]
    if not checks:
        return None
    return {
        "checked": sum(check["checked"] for check in checks),
        "max_abs_error": max(check["max_abs_error"] for check in checks),
        "max_rel_error": max(check["max_rel_error"] for check in checks),
        "tolerance": checks[0]["tolerance"],
        "passed": all(check["passed"] for check in checks),
    }
