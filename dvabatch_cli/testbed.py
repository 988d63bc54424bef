"""A bed measures a contender on a schedule, for real or in simulation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from dvabatch.batching.events import QueryArrived
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal, NormalInput
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import Schedule, send
from dvabatch.runtime.arrivals import HeldArrivals, NoArrivals, PullArrivals
from dvabatch.runtime.driver import Driver
from dvabatch.runtime.faults import Faults
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.lone_launches import LoneLaunches
from dvabatch.runtime.observers import JournalObserver, ReleasingObserver
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Listener, Listeners, Recorder
from dvabatch_cli.answers import Reference, Tally
from dvabatch_cli.clock_notes import ClockNotes
from dvabatch_cli.config import Config
from dvabatch_cli.faults import fault_facts, faults_of, timeout_ns
from dvabatch_cli.gpu_watch import Watch, note_clocks, note_energy
from dvabatch_cli.live import Display, shown
from dvabatch_cli.result import Result, held_back_of, measured_of, queueing_us_of
from dvabatch_cli.rows import Rows
from dvabatch_cli.sites import Site
from dvabatch_cli.wiring import Contender, LoadPoint, limits_of
from engines.base import Array

_ANCHOR_AHEAD_NS = 50_000_000


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
        pace: Callable[[int], float] | None = None,
        disturbance: float = 1.0,
        device_pace: Callable[[int], float] | None = None,
        host_pace: float = 1.0,
        clock_mhz: float | None = None,
        clock_pace: Callable[[int], float] | None = None,
        *,
        host_heard: bool = True,
    ) -> Result:
        """With `pace`, everything takes that many times as long, with `device_pace` what the device does, with `disturbance`
        launches beside each other do, and with `host_pace` what the host does for a device. The device keeps the clock that the
        load leaves it, or `clock_mhz`, where the profile knows its own; that is `clock_pace` times as slow at an instant. As in
        a real run the machine hears of the host's pace (unless `host_heard` is False), and of nothing else."""
        machine = _machine(self._config, self._profile, contender)
        recorder = None if trace is None else Recorder(machine, trace)
        faults = faults_of(self._config, schedule.seed)
        device = self._profile if disturbance == 1.0 else self._profile.at_disturbance(disturbance)
        device = device if host_pace == 1.0 else device.at_pace(host_pace)
        device = device.at_load(point.of_capacity) if clock_mhz is None else device.at_clock(clock_mhz)
        driver = SimulatedDriver(
            machine,
            recorder,
            device,
            timeout_ns=timeout_ns(self._config),
            faults=faults,
            pace=device_pace or pace,
            of_device_alone=device_pace is not None,
            host_pace=host_pace if host_heard else 1.0,
            clock_pace=clock_pace,
        )
        journal = driver.run(
            schedule.arrivals_ns, schedule.lengths, deadline_ns(self._config), self._config.load.max_concurrency
        )
        measured = measured_of(self._config, contender, point, schedule, journal, machine, "simulated")
        return Result(
            measured,
            dict(journal.reasons),
            held_back=held_back_of(self._config, journal),
            faults=fault_facts(faults, driver.given_up),
        )


class _Served(NamedTuple):
    """A run that is over."""

    machine: Machine
    observer: JournalObserver
    befell: Mapping[str, Any] | None
    anchor_ns: int  # its instant 0
    heard: float | None  # what the machine heard last of its host's pace


class RealBed:
    """Real engines in real time. Open it in a `with` block; answers of a seeded sample are checked after each run."""

    def __init__(
        self,
        config: Config,
        profile: Profile,
        site: Site[Any],
        rows: Rows,
        reference: Reference,
        outputs: Mapping[str, tuple[int, ...]],
        tolerance: float,
        watch: Watch | None = None,
        clock_notes: ClockNotes | None = None,
    ) -> None:
        """`tolerance` is that of checked answers; `watch` looks at the GPU before and after each run, and `clock_notes` tell
        what its clock was meanwhile."""
        self._config = config
        self._profile = profile
        self._site = site
        self._rows = rows
        self._reference = reference
        self._free_axes = outputs
        self._tolerance = tolerance
        self._watch = watch
        self._clock_notes = clock_notes
        self.display: Display | None = None  # what shows a run while it goes on

    def run(self, contender: Contender, point: LoadPoint, schedule: Schedule, trace: IO[str] | None = None) -> Result:
        twin = self._config.checks.twin
        disturbed_before = self._site.disturbance() if twin else None
        self._site.know(self._rows.of_run(schedule), self._rows.pads)
        self._warm_up(schedule)
        self._site.settle()
        before = None if self._watch is None else self._watch.look()
        lone = LoneLaunches(self._profile) if twin else None
        machine, observer, befell, anchor_ns, heard = self._serve(contender, schedule, trace, lone)
        disturbed_after = None if disturbed_before is None else self._site.disturbance()
        gpu = None if self._watch is None or before is None else self._watch.compare(before)
        if gpu is not None and self._clock_notes is not None:
            note_clocks(gpu, self._clock_notes.by_tenth(anchor_ns, anchor_ns + round(schedule.duration_s * 1e9)))
        graphs = self._site.facts() or None
        queueing_us = None if graphs is None else {**queueing_us_of(observer.journal, self._profile), "heard": heard}
        lengths = schedule.lengths
        tally = Tally(self._tolerance)
        answered = [query_id for query_id in self._candidates(schedule) if query_id in observer.answers]
        wrong = tally.check(
            {query_id: observer.answers[query_id] for query_id in answered[: self._config.checks.sample]},
            self._reference,
            lambda query_id: None if lengths is None else int(lengths[query_id]),
            self._free_axes,
        )
        measured = measured_of(
            self._config, contender, point, schedule, observer.journal, machine, self._config.load.admission
        )
        if gpu is not None:
            note_energy(gpu, observer.journal.answers)
        correctness = tally.to_json() if tally.checked else None
        held_back = held_back_of(self._config, observer.journal)
        return Result(
            measured, dict(observer.journal.reasons), correctness, len(wrong), graphs, queueing_us, gpu, held_back,
            None if lone is None else lone.speed, None if lone is None else lone.pace(),
            None if disturbed_before is None or disturbed_after is None else (disturbed_before, disturbed_after), befell,
        )  # fmt: skip

    def _warm_up(self, schedule: Schedule) -> None:
        """Queries that no figure counts, all at once, through ordinary batching: memory and caches are then in use."""
        count = min(self._config.load.warmup_requests, len(schedule))
        if count == 0:
            return
        entry = FillOrWait(self._config.engine.max_batch, 0, self._config.engine.executors_per_stage)
        policy = Normal(entry) if schedule.lengths is None else NormalInput(entry)
        lengths = None if schedule.lengths is None else schedule.lengths[:count].tolist()
        machine = Machine(limits_of(self._config, self._profile.stages), self._profile, policy)
        journal = Journal(count, lengths)
        driver = self._site.driver(machine, JournalObserver(journal), timeout_ns=timeout_ns(self._config))
        self._drive(driver, lengths, PullArrivals([0] * count, lengths))

    def _serve(
        self, contender: Contender, schedule: Schedule, trace: IO[str] | None, lone: LoneLaunches | None
    ) -> _Served:
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
        hearing: list[Listener] = [each for each in (recorder, lone) if each is not None]
        faults = faults_of(self._config, schedule.seed)
        driver = self._site.driver(
            machine, observer, Listeners(*hearing) if hearing else None, timeout_ns(self._config), faults
        )
        with shown(self.display, contender.name, schedule, observer.journal, machine, driver):
            if self._config.load.admission == "pull":
                self._drive(driver, lengths, arrivals if held is None else held, faults=faults)
            else:
                self._drive(driver, lengths, NoArrivals(), pushed=(schedule, arrivals), faults=faults)
        if held is not None:
            journal.held_back(held.held)
        observer.journal.busy_ns = driver.busy_ns
        observer.journal.span_ns = max(observer.journal.done_ns, default=0)
        heard = None if driver.host_pace is None else round(driver.host_pace, 4)
        return _Served(machine, observer, fault_facts(faults, driver.given_up), driver.anchor_ns, heard)

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


def _machine(config: Config, profile: Profile, contender: Contender) -> Machine:
    limits = limits_of(config, profile.stages, contender.max_queue, contender.drop_late)
    return Machine(limits, profile, contender.policy)


def deadline_ns(config: Config) -> int | None:
    """How long a query may wait to enter."""
    return None if config.load.deadline_ms is None else round(config.load.deadline_ms * 1e6)
