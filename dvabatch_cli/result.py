"""What came of one contender on one schedule, and its journal as reporting takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import NS_PER_MS, Profile
from dvabatch.loadgen import Schedule
from dvabatch.reporting.measured import Measured, Queries, StageUse
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.loops import usual_ns
from dvabatch_cli.config import Config
from dvabatch_cli.wiring import Contender, LoadPoint

_FEWEST = 20  # launches that tell what is usual of them


@dataclass(frozen=True, slots=True)
class Result:
    """One contender on one schedule."""

    measured: Measured
    reasons: Mapping[str, int]  # why queries got no answer, and how many each
    correctness: Mapping[str, Any] | None = None  # None: answers were not checked
    wrong_answers: int = 0
    graphs: Mapping[str, int] | None = None  # captured graphs used, missed and kept; None where there are none
    queueing_us: Mapping[str, Any] | None = None  # what queueing launches took; None where threads run them
    gpu: Mapping[str, Any] | None = None  # clocks and energy of a run on a GPU
    held_back: Mapping[str, Any] | None = None  # what a bound on concurrency did; None where there is none
    speed: tuple[float, float] | None = None  # how long lone launches took, in both halves, over the profile's time
    pace: Callable[[int], float] | None = None  # the same by the instant
    disturbance: tuple[float, float] | None = (
        None  # of launches beside each other, before and after, over the profile's
    )
    faults: Mapping[str, Any] | None = None  # what was injected and given up; None where nothing was


def queueing_us_of(journal: Journal, profile: Profile) -> dict[str, float | None]:
    """For how long queueing a launch kept the driver's thread: in general, and what is usual of launches of one row that begin
    their buffer set and found others under way, of the whole model and of its first stage alone. `pace`: how many times as long
    as in the profile such of any rows took."""

    def usual_of_ns(of: Mapping[int, NDArray[np.int64]]) -> float | None:
        return usual_ns(of[1]) if 1 in of and len(of[1]) >= _FEWEST else None

    def pace_of(of: Mapping[int, NDArray[np.int64]], *, first_alone: bool) -> float | None:
        known = [
            took_ns * slowness
            for rows, took_ns in of.items()
            if (slowness := profile.costs.pace_of(1.0, rows, first_alone=first_alone)) is not None
        ]
        found = np.concatenate(known) if known else np.empty(0)
        return usual_ns(found) if len(found) >= _FEWEST else None

    def us(took_ns: float | None) -> float | None:
        return None if took_ns is None else round(took_ns / 1e3, 3)

    if not len(journal.queueing_ns):
        return dict.fromkeys(("p50", "p99", "whole", "first", "pace"))
    p50_ns, p99_ns = np.percentile(journal.queueing_ns, (50, 99)).tolist()
    whole, first = journal.queueing_of_ns(profile.stages), journal.queueing_of_ns(1) if profile.stages > 1 else {}
    paces = [pace for pace in (pace_of(whole, first_alone=False), pace_of(first, first_alone=True)) if pace is not None]
    return {
        "p50": us(p50_ns),
        "p99": us(p99_ns),
        "whole": us(usual_of_ns(whole)),
        "first": us(usual_of_ns(first)),
        "pace": round(sum(paces) / len(paces), 4) if paces else None,
    }


def held_back_of(config: Config, journal: Journal) -> dict[str, Any] | None:
    """What the bound on concurrency did to the load; None without one."""
    if config.load.max_concurrency is None:
        return None
    held = np.array(journal.held, np.int64)
    late_ns = np.frombuffer(journal.admitted_ns, np.int64)[held] - np.frombuffer(journal.arrival_ns, np.int64)[held]
    return {"queries": len(held), "mean_ms": round(float(late_ns.mean()) / NS_PER_MS, 6) if len(held) else None}


def measured_of(
    config: Config,
    contender: Contender,
    point: LoadPoint,
    schedule: Schedule,
    journal: Journal,
    machine: Machine,
    admission: Any,
) -> Measured:
    """A journal, as reporting takes it; the arrays are views, nothing of them is copied."""
    held = None
    if config.load.max_concurrency is not None:
        held = np.zeros(len(schedule), np.bool_)
        held[journal.held] = True
    queries = Queries(
        np.frombuffer(journal.arrival_ns, np.int64),
        np.frombuffer(journal.admitted_ns, np.int64),
        np.frombuffer(journal.done_ns, np.int64),
        np.frombuffer(journal.outcome, np.uint8),
        np.frombuffer(journal.late_free, np.bool_) if admission == "pull" or journal.held else None,
        None if journal.lengths is None else np.frombuffer(journal.lengths, np.int32),
        held,
    )
    return Measured(
        policy=dict(contender.options),
        load=load_facts(config, point, schedule),
        queries=queries,
        stages=tuple(
            StageUse(stage, dict(sorted(work.batch_sizes.items())), work.rows_useful, work.rows_computed)
            for stage, work in enumerate(journal.stages(machine.profile))
        ),
        operations=dict(machine.operations),
        decision_ns=np.frombuffer(journal.decision_ns, np.int64) if len(journal.decision_ns) else None,
        device_busy_fraction=min(1.0, journal.busy_ns / journal.span_ns) if journal.span_ns else None,
        bytes_copied=journal.bytes_copied,
        admission=admission,
        slo_ms=None if config.slo is None else config.slo.response_ms,
        slo_quantile=None if config.slo is None else config.slo.quantile,
        role=contender.role,
        rows_whole=journal.rows_whole(machine.limits.last_stage),
        error_limit=config.checks.error_limit,
        lost_ns=machine.dead_ns,
    )


def load_facts(config: Config, point: LoadPoint, schedule: Schedule) -> dict[str, Any]:
    """The load as the report names it; a bound on concurrency is a part of it where there is one."""
    bound = config.load.max_concurrency
    return {
        **({} if bound is None else {"max_concurrency": bound}),
        "process": schedule.process,
        "request_rate_rps": float(f"{point.rate_rps:.6g}"),
        "utilization": None if point.utilization is None else float(f"{point.utilization:.6g}"),
        "seed": schedule.seed,
        "schedule_sha256": schedule.sha256,
        "duration_s": round(schedule.duration_s, 6),
    }
