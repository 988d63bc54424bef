"""What a config's runs need, opened: a bed measures a contender on a schedule, for real or in simulation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import IO, Any, Protocol

import numpy as np

from dvabatch.batching.events import QueryArrived
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal, NormalInput
from dvabatch.batching.profile import NS_PER_MS, Profile
from dvabatch.loadgen import Schedule, send
from dvabatch.reporting.measured import Measured, Queries, StageUse
from dvabatch.runtime.arrivals import HeldArrivals, NoArrivals, PullArrivals
from dvabatch.runtime.device_profiling import warmed
from dvabatch.runtime.driver import Driver
from dvabatch.runtime.faults import Faults
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.observers import JournalObserver, ReleasingObserver
from dvabatch.runtime.service import free_axes
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.table import table_stages
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.trace import Recorder
from dvabatch_cli.answers import Reference, TableReference, Tally, WholeModel
from dvabatch_cli.config import Config
from dvabatch_cli.faults import fault_facts, faults_of, timeout_ns
from dvabatch_cli.gpu import PreparedGpu, open_launcher
from dvabatch_cli.gpu_watch import Watch, open_watch
from dvabatch_cli.live import Display, shown
from dvabatch_cli.sites import GpuSite, HostSite, Site
from dvabatch_cli.wiring import Contender, LoadPoint, limits_of, payloads_of
from dvabatch_cli.workspace import Prepared, examples_of
from engines.base import Array, StageEngine
from engines.cuda import CudaDevice

Say = Callable[[str], None]
_ANCHOR_AHEAD_NS = 50_000_000
_CANARIES = 15


@dataclass(frozen=True, slots=True)
class Result:
    """One contender on one schedule."""

    measured: Measured
    reasons: Mapping[str, int]  # why queries got no answer, and how many each
    correctness: Mapping[str, Any] | None = None  # None: answers were not checked
    wrong_answers: int = 0
    graphs: Mapping[str, int] | None = None  # captured graphs used, missed and kept; None where there are none
    gpu: Mapping[str, Any] | None = None  # clocks and energy of a run on a GPU
    held_back: Mapping[str, Any] | None = None  # what a bound on concurrency did; None where there is none
    speed: tuple[float, float] | None = None  # how long the whole model took before and after, over the profile's time
    faults: Mapping[str, Any] | None = None  # what was injected and given up; None where nothing was


class Bed(Protocol):
    """Measures, whatever the time is made of."""

    def run(self, contender: Contender, point: LoadPoint, schedule: Schedule, trace: IO[str] | None = None) -> Result:
        """One contender meets one schedule; every decision is recorded in `trace`, if given."""


class SimulatedBed:
    """Virtual time on a profile."""

    def __init__(self, config: Config, profile: Profile) -> None:
        self._config = config
        self._profile = profile

    def run(
        self,
        contender: Contender,
        point: LoadPoint,
        schedule: Schedule,
        trace: IO[str] | None = None,
        speed: float = 1.0,
    ) -> Result:
        """With `speed`, everything takes that many times as long, which nobody tells the machine: as on a real host."""
        machine = _machine(self._config, self._profile, contender)
        recorder = None if trace is None else Recorder(machine, trace)
        costs = self._profile if speed == 1.0 else self._profile.at_speed(speed)
        faults = faults_of(self._config, schedule.seed)
        driver = SimulatedDriver(machine, recorder, costs, timeout_ns=timeout_ns(self._config), faults=faults)
        journal = driver.run(
            schedule.arrivals_ns, schedule.lengths, deadline_ns(self._config), self._config.load.max_concurrency
        )
        measured = _measured(self._config, contender, point, schedule, journal, machine, "simulated")
        return Result(
            measured,
            dict(journal.reasons),
            held_back=_held_back(self._config, journal),
            faults=fault_facts(faults, driver.given_up),
        )


class RealBed:
    """Real engines in real time. Open it in a `with` block; answers of a seeded sample are checked after each run."""

    def __init__(
        self,
        config: Config,
        profile: Profile,
        site: Site,
        rows: Rows,
        reference: Reference,
        outputs: Mapping[str, tuple[int, ...]],
        tolerance: float,
        watch: Watch | None = None,
        canary: Callable[[], float] | None = None,
    ) -> None:
        """`tolerance` is that of checked answers; `watch` looks at the GPU before and after each run, and `canary` at how
        long the whole model takes, in milliseconds."""
        self._config = config
        self._profile = profile
        self._site = site
        self._rows = rows
        self._reference = reference
        self._free_axes = outputs
        self._tolerance = tolerance
        self._watch = watch
        self._canary = canary
        self.display: Display | None = None  # what shows a run while it goes on

    def run(self, contender: Contender, point: LoadPoint, schedule: Schedule, trace: IO[str] | None = None) -> Result:
        self._warm_up(schedule)
        self._site.settle()
        before = None if self._watch is None else self._watch.look()
        speed_before = self._speed()
        machine, observer, befell = self._serve(contender, schedule, trace, with_faults=True)
        gpu = None if self._watch is None or before is None else self._watch.compare(before)
        graphs = self._site.facts() or None
        speed_after = self._speed()
        speed = None if speed_before is None or speed_after is None else (speed_before, speed_after)
        lengths = schedule.lengths
        tally = Tally(self._tolerance)
        answered = [query_id for query_id in self._candidates(schedule) if query_id in observer.answers]
        wrong = tally.check(
            {query_id: observer.answers[query_id] for query_id in answered[: self._config.checks.sample]},
            self._reference,
            lambda query_id: None if lengths is None else int(lengths[query_id]),
            self._free_axes,
        )
        measured = _measured(
            self._config, contender, point, schedule, observer.journal, machine, self._config.load.admission
        )
        correctness = tally.to_json() if tally.checked else None
        held_back = _held_back(self._config, observer.journal)
        return Result(
            measured, dict(observer.journal.reasons), correctness, len(wrong), graphs, gpu, held_back, speed, befell
        )

    def _speed(self) -> float | None:
        """How long the whole model takes now, over what the profile says."""
        if self._canary is None:
            return None
        return self._canary() * NS_PER_MS / self._profile.whole_ns(1, len(self._profile.lanes) - 1)

    def _warm_up(self, schedule: Schedule) -> None:
        """Queries that no figure counts, all at once, through ordinary batching: memory and caches are then in use."""
        count = min(self._config.load.warmup_requests, len(schedule))
        if count == 0:
            return
        entry = FillOrWait(self._config.engine.max_batch, 0, 1)
        policy = Normal(entry) if schedule.lengths is None else NormalInput(entry)
        lengths = None if schedule.lengths is None else schedule.lengths[:count].tolist()
        machine = Machine(limits_of(self._config, self._profile.stages), self._profile, policy)
        journal = Journal(count, lengths)
        driver = self._site.driver(machine, JournalObserver(journal), timeout_ns=timeout_ns(self._config))
        self._drive(driver, lengths, PullArrivals([0] * count, lengths))

    def _serve(
        self, contender: Contender, schedule: Schedule, trace: IO[str] | None, *, with_faults: bool = False
    ) -> tuple[Machine, JournalObserver, Mapping[str, Any] | None]:
        """The last of what it gives is what befell the run."""
        lengths = None if schedule.lengths is None else schedule.lengths.tolist()
        machine = _machine(self._config, self._profile, contender)
        journal = Journal(len(schedule), lengths)
        arrivals = PullArrivals(schedule.arrivals_ns.tolist(), lengths, deadline_ns(self._config))
        bound = self._config.load.max_concurrency
        held = None if bound is None else HeldArrivals(arrivals, bound)
        observer = (
            JournalObserver(journal, self._candidates(schedule))
            if held is None
            else ReleasingObserver(journal, self._candidates(schedule), held.ended)
        )
        recorder = None if trace is None else Recorder(machine, trace)
        faults = faults_of(self._config, schedule.seed) if with_faults else None
        driver = self._site.driver(machine, observer, recorder, timeout_ns(self._config), faults)
        with shown(self.display, contender.name, schedule, observer.journal, machine, driver):
            if self._config.load.admission == "pull":
                self._drive(driver, lengths, arrivals if held is None else held, faults=faults)
            else:
                self._drive(driver, lengths, NoArrivals(), pushed=(schedule, arrivals), faults=faults)
        if held is not None:
            journal.held_back(held.held)
        observer.journal.busy_ns = driver.busy_ns
        observer.journal.span_ns = max(observer.journal.done_ns, default=0)
        return machine, observer, fault_facts(faults, driver.given_up)

    def _drive(
        self,
        driver: Driver[Any],
        lengths: list[int] | None,
        arrivals: PullArrivals | HeldArrivals | NoArrivals,
        pushed: tuple[Schedule, PullArrivals] | None = None,
        faults: Faults | None = None,
    ) -> None:
        """One run of a driver, with a sender thread if queries are pushed; threads are gone afterwards."""
        row = self._rows.row

        def payload(query_id: int) -> Mapping[str, Array]:
            return row(query_id, None if lengths is None else lengths[query_id])

        stopped = threading.Event()
        with self._site.starter(driver, payload, self._rows.pads, faults) as starter:
            anchor_ns = time.perf_counter_ns() + _ANCHOR_AHEAD_NS
            driver.set_anchor(anchor_ns)
            sender = None
            if pushed is not None:
                schedule, queries = pushed

                def push() -> None:
                    send(
                        schedule,
                        lambda index: driver.post(QueryArrived(queries.query(index))),
                        anchor_ns=anchor_ns,
                        clock=time.perf_counter_ns,
                        sleep=time.sleep,
                        stop=stopped.is_set,
                    )
                    driver.close()

                sender = threading.Thread(target=push, name="sender", daemon=True)
                sender.start()
            try:
                driver.run(starter, arrivals, until_closed=pushed is not None)
            finally:
                stopped.set()
                if sender is not None:
                    sender.join()

    def _candidates(self, schedule: Schedule) -> list[int]:
        """Queries across the whole run, drawn from the schedule's seed, in the order in which they are wanted.

        Twice as many as are checked: some may be rejected or fail.
        """
        count = min(2 * self._config.checks.sample, len(schedule))
        drawn: list[int] = np.random.default_rng(schedule.seed).choice(len(schedule), count, replace=False).tolist()
        return drawn


class Rows(Protocol):
    """Payloads by query."""

    @property
    def pads(self) -> Mapping[str, float]: ...

    def row(self, query_id: int, length: int | None) -> Mapping[str, Array]: ...


class PooledRows:
    """Payloads of a model, from the pool."""

    def __init__(self, config: Config, prepared: Prepared) -> None:
        self._pool = payloads_of(config, prepared.manifest.inputs)
        self.pool_rows = self._pool.size
        self.pads = {name: float(section.pad) for name, section in config.inputs.items()}

    def row(self, query_id: int, length: int | None) -> Mapping[str, Array]:
        return self._pool.row(query_id, length)

    def pin(self, pin: Callable[[Array], Array]) -> None:
        """Moves the pool into memory from which a device reads without a copy of ours."""
        self._pool.move(pin)


class TokenRows:
    """Payloads of a latency table: who asks, and no stage done."""

    pads: Mapping[str, float] = {}

    def row(self, query_id: int, length: int | None) -> Mapping[str, Array]:
        row = np.array([query_id, 0])
        return {"query": row if length is None else np.tile(row, (length, 1))}


@contextmanager
def open_real_bed(config: Config, profile: Profile, prepared: Prepared | None, say: Say) -> Iterator[RealBed]:
    """A bed on built engines, or on a latency table where there is no model."""
    limits = limits_of(config, profile.stages)
    with ExitStack() as opened:
        if prepared is None:
            _, tables = table_stages(profile, limits.max_batch)
            free = {"answer": free_axes(tables[-1].outputs[0])}
            tabled = _host_site(list(tables), limits, TokenRows(), list(free))
            yield RealBed(
                config,
                profile,
                tabled,
                TokenRows(),
                TableReference(profile.stages),
                free,
                config.checks.tolerance_on("table", "none"),
            )
            return
        rows = PooledRows(config, prepared)
        whole = opened.enter_context(prepared.open_reference())
        reference = WholeModel(whole.infer, rows.row, rows.pool_rows)
        outputs = {tensor.name: free_axes(tensor) for tensor in prepared.manifest.outputs}
        tolerance = config.checks.tolerance_on(prepared.backend, prepared.precision)
        if isinstance(prepared, PreparedGpu):
            device = opened.enter_context(CudaDevice())
            examples = examples_of(limits, lambda length: rows.row(0, length))
            launcher, table = opened.enter_context(open_launcher(prepared, limits, examples, device))
            rows.pin(launcher.pin)
            for step in warmed(launcher, limits):
                say(step)
            watch = opened.enter_context(open_watch())
            yield RealBed(
                config, profile, GpuSite(launcher, table, profile), rows, reference, outputs, tolerance, watch
            )
            return
        stages: list[StageEngine] = [
            opened.enter_context(prepared.open_stage(index, limits.max_batch)) for index in range(limits.stages)
        ]
        site = _host_site(stages, limits, rows, list(outputs))
        canary = None
        if config.checks.twin:
            lone = opened.enter_context(prepared.open_whole(1))
            canary = partial(_timed_ms, lone, examples_of(limits, lambda length: rows.row(0, length))[-1])
        yield RealBed(config, profile, site, rows, reference, outputs, tolerance, canary=canary)


def _timed_ms(engine: StageEngine, example: Mapping[str, Array]) -> float:
    """The median of some runs, in place."""
    outputs = engine.infer(example)
    times_ns = []
    for _ in range(_CANARIES):
        began_ns = time.perf_counter_ns()
        engine.run(example, outputs)
        times_ns.append(time.perf_counter_ns() - began_ns)
    return median(times_ns) / NS_PER_MS


def _host_site(stages: list[StageEngine], limits: Limits, rows: Rows, outputs: list[str]) -> HostSite:
    examples = examples_of(limits, lambda length: rows.row(0, length))
    return HostSite(stages, TensorTable(lay_out(stages, examples, outputs), limits.buffer_sets, limits.max_batch))


def _machine(config: Config, profile: Profile, contender: Contender) -> Machine:
    limits = limits_of(config, profile.stages, contender.max_queue, contender.drop_late)
    return Machine(limits, profile, contender.policy)


def _held_back(config: Config, journal: Journal) -> dict[str, Any] | None:
    """What the bound on concurrency did to the load; None without one."""
    if config.load.max_concurrency is None:
        return None
    held = np.array(journal.held, np.int64)
    late_ns = np.frombuffer(journal.admitted_ns, np.int64)[held] - np.frombuffer(journal.arrival_ns, np.int64)[held]
    return {"queries": len(held), "mean_ms": round(float(late_ns.mean()) / NS_PER_MS, 6) if len(held) else None}


def deadline_ns(config: Config) -> int | None:
    """How long a query may wait to enter."""
    return None if config.load.deadline_ms is None else round(config.load.deadline_ms * 1e6)


def _measured(
    config: Config,
    contender: Contender,
    point: LoadPoint,
    schedule: Schedule,
    journal: Journal,
    machine: Machine,
    admission: Any,
) -> Measured:
    """A journal, as reporting takes it; the arrays are views, nothing is copied."""
    queries = Queries(
        np.frombuffer(journal.arrival_ns, np.int64),
        np.frombuffer(journal.admitted_ns, np.int64),
        np.frombuffer(journal.done_ns, np.int64),
        np.frombuffer(journal.outcome, np.uint8),
        np.frombuffer(journal.late_free, np.bool_) if admission == "pull" or journal.held else None,
        None if journal.lengths is None else np.frombuffer(journal.lengths, np.int32),
    )
    return Measured(
        policy=dict(contender.options),
        load=load_facts(point, schedule),
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


def load_facts(point: LoadPoint, schedule: Schedule) -> dict[str, Any]:
    """The load as the report names it; a bound on concurrency is a part of it where there is one."""
    bound = {} if point.max_concurrency is None else {"max_concurrency": point.max_concurrency}
    return {
        **bound,
        "process": schedule.process,
        "request_rate_rps": float(f"{point.rate_rps:.6g}"),
        "utilization": None if point.utilization is None else float(f"{point.utilization:.6g}"),
        "seed": schedule.seed,
        "schedule_sha256": schedule.sha256,
        "duration_s": round(schedule.duration_s, 6),
    }
