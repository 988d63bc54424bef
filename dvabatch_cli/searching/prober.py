"""Runs the probes of a search: each on its bed, again if its sender was late, and kept at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dvabatch.loadgen import Schedule
from dvabatch.reporting.labels import point_key
from dvabatch_cli.config import Config
from dvabatch_cli.result import load_facts
from dvabatch_cli.searching.lost_run import LostRun, Watched
from dvabatch_cli.searching.probe import Probe, ProbeStore, cut_probe, probe_of
from dvabatch_cli.searching.slo import Slo
from dvabatch_cli.testbed import Bed
from dvabatch_cli.wiring import Contender, LoadPoint

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prober:
    """Measures a contender at any rate of one load. With `cuts`, runs that are lost end early: see `lost_run`."""

    config: Config
    bed: Bed
    load: LoadPoint
    capacity_rps: float
    slo: Slo
    runs: int
    store: ProbeStore
    cuts: bool
    say: Say

    def point(self, rate_rps: float) -> LoadPoint:
        part = rate_rps / self.capacity_rps
        return LoadPoint(self.load.process.at_rate(rate_rps), part, rate_rps, part)

    def chance(self) -> bool:
        """Whether another seed gives another schedule."""
        point = self.point(self.capacity_rps)
        schedules = [point.schedule(self.config, seed) for seed in (1, 2)]
        return schedules[0].sha256 != schedules[1].sha256

    def probe(self, contender: Contender, rate_rps: float, seed: int, *, whole: bool = False) -> Probe:
        """One run, from the store if it is there; `whole` runs are never cut short."""
        point = self.point(rate_rps)
        schedule = point.schedule(self.config, seed)
        facts = load_facts(self.config, point, schedule)
        key = point_key(dict(contender.options), facts, contender.role)
        kept = self.store.load(key)
        if kept is not None:
            return kept
        probe = self._measured(contender, point, schedule, cut=self.cuts and not whole)
        self.store.save(key, probe, {"policy": contender.name, "role": contender.role, **facts})
        return probe

    def _measured(self, contender: Contender, point: LoadPoint, schedule: Schedule, *, cut: bool) -> Probe:
        """A sender that was late may be on time when asked again: that is the host's."""
        attempts = self.config.load.attempts
        for attempt in range(1, attempts + 1):
            probe = replace(self._one(contender, point, schedule, cut=cut), attempts=attempt)
            if not probe.late:
                break
            if attempt < attempts:
                self.say(
                    f"{contender.name} at {point.rate_rps:.6g} queries/s: {probe.invalid_reasons[0]}; measured again"
                )
        return probe

    def _one(self, contender: Contender, point: LoadPoint, schedule: Schedule, *, cut: bool) -> Probe:
        if cut:
            forgiven = int((1 - self.slo.share) * len(schedule) * self.runs)
            arrivals_ns: list[int] = schedule.arrivals_ns.tolist()
            watched = Watched(contender.policy, arrivals_ns, self.slo.bound_ns, forgiven)
            contender = replace(contender, policy=watched)
        try:
            result = self.bed.run(contender, point, schedule)
        except LostRun as lost:
            return cut_probe(len(schedule), lost.lost, lost.now_ns)
        probe = probe_of(result.measured, self.slo)
        if result.wrong_answers:
            checked: Any = (result.correctness or {}).get("checked")
            wrong = f"{result.wrong_answers} of {checked} checked answers are wrong"
            probe = replace(probe, invalid_reasons=(*probe.invalid_reasons, wrong))
        return probe
