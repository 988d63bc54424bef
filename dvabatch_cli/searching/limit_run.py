"""A search from its config to its document: every contender's limit alone, each probe kept as soon as it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvabatch import __version__
from dvabatch.reporting.lock import ResultsLock
from dvabatch.reporting.percentiles import answers_needed
from dvabatch_cli import baselines, tuning
from dvabatch_cli.config import Config
from dvabatch_cli.config.load import RampLoad, StepLoad
from dvabatch_cli.config.section import MAX_RATE_RPS
from dvabatch_cli.errors import CommandError, Exit
from dvabatch_cli.facts import ground_digests
from dvabatch_cli.gpu import PreparedGpu
from dvabatch_cli.ground import Ground, lay_ground
from dvabatch_cli.open_bed import open_real_bed
from dvabatch_cli.searching.folder import SearchFolder
from dvabatch_cli.searching.limit import Ladder
from dvabatch_cli.searching.limit_rows import limit_row, why_not
from dvabatch_cli.searching.limit_search import LimitSearch
from dvabatch_cli.searching.probe import ProbeStore
from dvabatch_cli.searching.prober import Prober
from dvabatch_cli.searching.slo import Slo
from dvabatch_cli.testbed import Bed, SimulatedBed
from dvabatch_cli.wiring import Contender, LoadPoint, contender_of, load_points
from dvabatch_cli.workspace import missing_of

Say = Callable[[str], None]
_START, _FLOOR, _CEILING = 0.5, 1 / 64, 64.0  # parts of the capacity
_FEWEST = 30  # queries of a run, on average: none at all are then out of the question
_SHORT = 2000  # see `validity.saturated`
_FEW_BOUNDS = 10  # a backlog takes some time to make answers late
_USUAL_RUNS = 25  # of a contender: ten rates, most of them decided by one run


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search goes about it: real or simulated, how narrow, how many runs a rate may have."""

    simulated: bool
    tolerance: float
    runs: int
    quick: bool


@dataclass(frozen=True, slots=True)
class Searched:
    """A search's document, why contenders have no limit, where it lies, and how it went."""

    document: dict[str, Any]
    troubles: list[str]
    folder: Path
    code: Exit


class LimitRun:
    """One config and objective, one results folder."""

    def __init__(self, config: Config, slo: Slo, folder: Path, plan: Plan, say: Say) -> None:
        """Raises:
        CommandError: the load has no rate to search, or its runs are too short for the objective.
        """
        self._config = config
        self._slo = slo
        self._folder = SearchFolder(folder)
        self._plan = plan
        self._say = say
        self._searches: list[LimitSearch] = []
        self._check_load()

    def _check_load(self) -> None:
        load = self._config.load
        if isinstance(load, (StepLoad, RampLoad)):
            raise CommandError(
                f"config {self._config.name}: a {load.process} changes its rate by itself; search wants constant, poisson, "
                "gamma, mmpp or replay: give load another process"
            )
        needed, given = answers_needed(self._slo.share), load.num_requests
        if given is not None and given * self._plan.runs < needed:
            raise CommandError(
                f"config {self._config.name}: {self._plan.runs} runs of {given} queries cannot show {self._slo.quantile}, "
                f"which takes {needed:,}: raise load.num_requests or --seeds"
            )

    def foresee(self) -> dict[str, Any]:
        """What would be made first, and about how much would be run."""
        effort = self._tuning
        missing = missing_of(self._config)
        missing += tuning.missing_of(self._config, self._say, effort, profiled=not missing)
        for what in missing:
            self._say(f"would be made first: {what}")
        contenders = self._contenders()
        self._say(
            f"{contenders} searches of about {_USUAL_RUNS} runs each, results in {self._folder.path}; nothing was measured"
        )
        return {"folder": str(self._folder.path), "searches": contenders, "missing": missing}

    def run(self, *, resume: bool = False) -> Searched:
        """Every contender's limit. A Ctrl-C keeps the probes so far and says what they show, with exit code 130."""
        config, say = self._config, self._say
        code = Exit.FINE
        with ExitStack() as opened:
            opened.enter_context(ResultsLock(self._folder.path))
            ground = lay_ground(config, say)
            say(f"capacity {ground.capacity_rps:.4g} queries/s (whole model, batches up to {config.engine.max_batch})")
            load = load_points(config, ground.capacity_rps)[0]
            ladder = self._ladder(ground.capacity_rps)
            self._estimate(ground, load)
            self._folder.open(self._facts(ground), resume=resume)
            try:
                bed: Bed = (
                    SimulatedBed(config, ground.profile)
                    if self._plan.simulated
                    else opened.enter_context(open_real_bed(config, ground.profile, ground.prepared, say))
                )
                self._search(ground, self._prober(bed, ground, load), ladder)
            except KeyboardInterrupt:
                say("interrupted: what was probed is kept; go on with --resume")
                code = Exit.INTERRUPTED
            return self._finish(ground.capacity_rps, code)

    def _prober(self, bed: Bed, ground: Ground, load: LoadPoint) -> Prober:
        # A driver that polls leaves launches in flight when it is stopped, which the next run on the device would meet.
        cuts = self._plan.simulated or not isinstance(ground.prepared, PreparedGpu)
        store = ProbeStore(self._folder.probes)
        return Prober(
            self._config, bed, load, ground.capacity_rps, self._slo, self._plan.runs, store, cuts, self._say
        )  # fmt: skip

    def _search(self, ground: Ground, prober: Prober, ladder: Ladder) -> None:
        capacity_rps = ground.capacity_rps
        exact = self._plan.simulated and not prober.chance()
        for contender in self._each(ground, prober):
            search = LimitSearch(contender, prober, ladder, exact, self._say)
            self._searches.append(search)
            search.run()
            self._keep(capacity_rps)
            low, high = search.bracket.low_rps, search.bracket.high_rps
            told = [f"{rate:.6g}" for rate in (low, high) if rate is not None]
            self._say(
                f"[{len(self._searches)}/{self._contenders()}] {contender.name}: {search.status}, {' .. '.join(told)} rps"
            )

    def _ladder(self, capacity_rps: float) -> Ladder:
        """From half of the capacity; not so far down that the time of a run holds next to no query."""
        load = self._config.load
        lasting_s = min((bound for bound in (load.duration_s, load.max_duration_s) if bound is not None), default=None)
        start_rps, ceiling_rps = (min(part * capacity_rps, MAX_RATE_RPS) for part in (_START, _CEILING))
        floor_rps = min(_FLOOR * capacity_rps, MAX_RATE_RPS)
        if lasting_s is not None:
            floor_rps = max(floor_rps, _FEWEST / lasting_s)
        if floor_rps > start_rps:
            raise CommandError(
                f"config {self._config.name}: {lasting_s:g} s at half of the capacity, {start_rps:.4g} queries/s, hold less "
                f"than {_FEWEST} queries: raise load.max_duration_s or load.duration_s"
            )
        return Ladder(start_rps, floor_rps, ceiling_rps, self._plan.tolerance)

    def _each(self, ground: Ground, prober: Prober) -> Iterator[Contender]:
        """The policies, then the baselines. The swept ones are the best where the best policy of the config has its limit: if
        ordinary batching can do as well anywhere, it is there."""
        config, profile = self._config, ground.profile
        for options in tuning.with_settings(config, profile, self._say, self._tuning):
            yield contender_of(options, profile)
        held = [search.bracket.low_rps for search in self._searches if search.bracket.low_rps is not None]
        if "untuned" in config.baselines:
            yield baselines.untuned(config, profile)
        if "swept" in config.baselines:
            point = prober.point(max(held, default=_START * ground.capacity_rps))
            self._say(f"sweeping ordinary batching at {point.rate_rps:.6g} queries/s")
            rounds = baselines.QUICK if self._plan.quick else baselines.FULL
            yield from baselines.swept(config, profile, point, rounds=rounds, say=self._say)

    @property
    def _tuning(self) -> tuning.Effort:
        return tuning.QUICK if self._plan.quick else tuning.FULL

    def _contenders(self) -> int:
        of = {"untuned": 1, "swept": baselines.BEST}
        return len(self._config.policies) + sum(of[name] for name in self._config.baselines)

    def _estimate(self, ground: Ground, load: LoadPoint) -> None:
        """How much there is to run, and for real runs how long their schedules last at the capacity."""
        count = self._contenders()
        point = LoadPoint(load.process.at_rate(ground.capacity_rps), 1.0, ground.capacity_rps, 1.0)
        schedule = point.schedule(self._config, self._config.load.seeds[0])
        runs = f"{count} searches of about {_USUAL_RUNS} runs each, {len(schedule)} queries a run"
        lasting_s = count * _USUAL_RUNS * schedule.duration_s
        self._say(f"{runs} to simulate" if self._plan.simulated else f"{runs}, about {lasting_s / 60:.0f} min of load")
        if len(schedule) < _SHORT:
            self._say(
                f"runs of {len(schedule)} queries are short: from some {_SHORT:,} on, a backlog that grows can be told "
                "from one that comes back; raise load.num_requests"
            )
        bounds = schedule.duration_s * 1e9 / self._slo.bound_ns
        if bounds < _FEW_BOUNDS:
            self._say(
                f"at the capacity a run lasts {schedule.duration_s:.3g} s, {bounds:.2g} times what the objective allows: too "
                "short for answers to become late; raise load.num_requests"
            )

    def _facts(self, ground: Ground) -> dict[str, Any]:
        """What makes a probe of one search no probe of another."""
        return {
            "config": self._config.resolved(),
            **ground_digests(ground),
            "slo": str(self._slo),
            "simulated": self._plan.simulated,
            "runs": self._plan.runs,
        }

    def _keep(self, capacity_rps: float) -> dict[str, Any]:
        """Writes what is known so far."""
        return self._folder.write({
            "schema_version": "1.0",
            "name": self._config.name,
            "dvabatch_version": __version__,
            "slo": {"quantile": float(self._slo.share), "response_ms": self._slo.bound_ms},
            "simulated": self._plan.simulated,
            "tolerance": self._plan.tolerance,
            "capacity_rps": capacity_rps,
            "config": self._config.resolved(),
            "limits": [limit_row(search) for search in self._searches],
        })  # fmt: skip

    def _finish(self, capacity_rps: float, code: Exit) -> Searched:
        document = self._keep(capacity_rps)
        if code is Exit.FINE:
            code = self._judged()
        troubles = [why for search in self._searches if (why := why_not(search))]
        return Searched(document, troubles, self._folder.path, code)

    def _judged(self) -> Exit:
        """A probe that stayed invalid says nothing; a policy of the config without a limit has failed its objective."""
        if any(search.status == "invalid" for search in self._searches):
            return Exit.INVALID
        asked = [search.status for search in self._searches if search.contender.role == "policy"]
        return Exit.FAILED if {"unreachable", "undecided"} & set(asked) else Exit.FINE
