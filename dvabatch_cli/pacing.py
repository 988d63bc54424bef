"""How punctual this host is: queries through the real driver to an engine that takes no time, so that only the host is late."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from dvabatch.reporting.measured import Queries
from dvabatch.reporting.summary import summarise
from dvabatch.reporting.validity import sender_reasons
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.table import table_stages
from dvabatch.runtime.tensors import TensorTable
from dvabatch_cli.answers import TableReference
from dvabatch_cli.config import Config, config_of
from dvabatch_cli.ground import Ground, lay_ground
from dvabatch_cli.instant import InstantSite
from dvabatch_cli.open_bed import open_real_bed
from dvabatch_cli.rows import TokenRows
from dvabatch_cli.testbed import RealBed
from dvabatch_cli.wiring import contender_of, limits_of, load_points
from dvabatch_cli.workspace import examples_of
from engines.table import OUTPUT

Admission = Literal["pull", "push"]
DriverKind = Literal["threaded", "polling"]  # for engines that block, and for those that run asynchronously
Say = Callable[[str], None]

RATES_RPS = (1_000, 5_000, 20_000)
QUERIES = (800, 4_000, 16_000)  # at those rates: 0.8 s each
QUICK_QUERIES = (400, 1_000, 2_000)  # enough for a p99, and a second in all
_NO_TIME_MS = 1e-6  # a nanosecond: a table takes no less
_MAX_BATCH = 32


@dataclass(frozen=True, slots=True)
class Lateness:
    """At one rate, how late the driver took queries: the admitted instant less the scheduled one. p99 None: too few queries."""

    admission: Admission
    rate_rps: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    on_time: bool  # by the rule for valid runs, except that nothing excuses a late one here

    def to_json(self) -> dict[str, Any]:
        return {
            "admission": self.admission,
            "request_rate_rps": self.rate_rps,
            "lateness_ms": {"p50": self.p50_ms, "p99": self.p99_ms, "max": self.max_ms},
            "on_time": self.on_time,
        }


@dataclass(frozen=True, slots=True)
class Pacing:
    """What a self-test found of one kind of driver."""

    driver: DriverKind
    found: tuple[Lateness, ...]

    def up_to_rps(self, admission: Admission) -> int:
        """The highest rate such that it and all lower ones were on time; 0 if none was."""
        highest = 0
        for each in sorted(
            (each for each in self.found if each.admission == admission), key=lambda each: each.rate_rps
        ):
            if not each.on_time:
                break
            highest = each.rate_rps
        return highest

    @property
    def admission(self) -> Admission | None:
        """The mode that is on time at the highest rate: pull unless push goes higher; None where neither is at any rate."""
        pull, push = self.up_to_rps("pull"), self.up_to_rps("push")
        if not pull and not push:
            return None
        return "push" if push > pull else "pull"

    @property
    def verdict(self) -> str:
        """What follows, in a line."""
        admission = self.admission
        if admission is None:
            slowest = min(each.rate_rps for each in self.found)
            return f"late at {slowest:,} queries/s already: free a core, or runs may come out invalid"
        told = f"on time up to {self.up_to_rps(admission):,} queries/s: load.admission {admission}"
        if admission == "push" and any(each.admission == "pull" for each in self.found):
            return f'{told} (set it: the default "pull" is late from there on)'
        return told  # a run measures what its config sets, and nothing else

    def to_json(self) -> dict[str, Any]:
        """The `pacing` of a report's environment."""
        admission = self.admission
        return {
            "driver": self.driver,
            "admission": admission,
            "on_time_up_to_rps": 0 if admission is None else self.up_to_rps(admission),
            "measured": [each.to_json() for each in self.found],
        }


def measure_pacing(
    driver: DriverKind,
    admissions: tuple[Admission, ...] = ("pull", "push"),
    queries: tuple[int, ...] = QUERIES,
    *,
    say: Say,
) -> Pacing:
    """Sends that many queries at each of `RATES_RPS`, by each way of admission."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for admission in admissions:
            for rate_rps, count in zip(RATES_RPS, queries, strict=True):
                say(f"pacing: {count:,} queries at {rate_rps:,}/s, {admission}")
                config = _config(Path(folder), admission, rate_rps, count)
                found.append(_measured(driver, config, admission, rate_rps))
    return Pacing(driver, tuple(found))


@cache
def quick_pacing(driver: DriverKind, admission: Admission) -> Pacing:
    """A second's self-test of what an experiment uses; measured once a process, however many experiments it runs."""
    return measure_pacing(driver, (admission,), QUICK_QUERIES, say=_unsaid)


def judged(queries: Queries, numbers: Mapping[str, Any], admission: Admission, rate_rps: int) -> Lateness:
    """`numbers` is the summary's `lateness_ms` of these queries."""
    late = sender_reasons(replace(queries, late_free=None), None)  # None: all lateness counts, an idle engine or not
    return Lateness(admission, rate_rps, numbers["p50"], numbers["p99"], numbers["max"], not late)


def _measured(driver: DriverKind, config: Config, admission: Admission, rate_rps: int) -> Lateness:
    ground = lay_ground(config, _unsaid)
    [point] = load_points(config, ground.capacity_rps)
    contender = contender_of(config.policies[0], ground.profile)
    with _polling_bed(config, ground) if driver == "polling" else _threaded_bed(config, ground) as bed:
        measured = bed.run(contender, point, point.schedule(config, seed=1)).measured
    return judged(measured.queries, summarise(measured)["lateness_ms"], admission, rate_rps)


def _threaded_bed(config: Config, ground: Ground) -> AbstractContextManager[RealBed]:
    """That of any table: worker threads run its stage."""
    return open_real_bed(config, ground.profile, None, _unsaid)


def _polling_bed(config: Config, ground: Ground) -> AbstractContextManager[RealBed]:
    """The same table, of which nothing is run but the driver."""
    limits = limits_of(config, ground.profile.stages)
    _, stages = table_stages(ground.profile, limits.max_batch)
    layout = lay_out(stages, examples_of(limits, lambda length: TokenRows().row(0, length)), [OUTPUT])
    site = InstantSite(TensorTable(layout, limits.buffer_sets, limits.max_batch))
    return nullcontext(
        RealBed(config, ground.profile, site, TokenRows(), TableReference(ground.profile.stages), {}, tolerance=0)
    )


def _config(folder: Path, admission: Admission, rate_rps: int, queries: int) -> Config:
    """Ordinary batching on one stage without cost: what is left is the driver, its threads and the host."""
    table = {"name": "null", "stages": [{"latency_ms": {"1": _NO_TIME_MS, str(_MAX_BATCH): _NO_TIME_MS}}]}
    (folder / "null.json").write_text(json.dumps(table))
    raw = {
        "name": "pacing",
        "slicing": {"stages": 1},
        "engine": {"backend": "table", "table": "null.json", "max_batch": _MAX_BATCH},
        "policies": [{"scheduler_type": "NORMAL", "instances": 4}],
        "baselines": [],
        "load": {
            "process": "poisson", "request_rate": rate_rps, "num_requests": queries, "admission": admission,
            "warmup_requests": _MAX_BATCH,
        },
        "checks": {"sample": 0},
    }  # fmt: skip
    return config_of(raw, folder=folder)


def _unsaid(line: str) -> None:
    """What a bed says of its making is of no interest here."""
