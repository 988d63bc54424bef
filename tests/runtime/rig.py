"""A threaded run put together by hand: machine, memory, launcher and driver, with everything that happened kept."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, QueryArrived
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Operation
from dvabatch.batching.profile import Profile
from dvabatch.batching.view import View
from dvabatch.runtime.arrivals import NoArrivals, PullArrivals
from dvabatch.runtime.faults import Fault, Faults
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.shapes import Layout, lay_out
from dvabatch.runtime.table import table_stages
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch.runtime.trace import Recorder
from engines.base import Array, StageEngine
from engines.table import TableEngine

Payload = Callable[[int], Mapping[str, Array] | None]


@dataclass(frozen=True, slots=True)
class Scripted:
    """A policy that is a function: `script(view)` gives operations until it has nothing to add."""

    script: Callable[[View], Sequence[Operation]]
    digest: str = "scripted"

    def plan(self, view: View) -> Iterator[Operation]:
        while operations := self.script(view):
            yield from operations


class Ticking:
    """A clock that stands still until an engine takes time on it."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return self._now_ns

    def take(self, took_ns: int) -> None:
        with self._lock:
            self._now_ns += took_ns


class Around:
    """An engine with something done before each run of it: `before(rows)` may wait, take time or raise."""

    def __init__(self, engine: StageEngine, before: Callable[[Array], None]) -> None:
        self._engine = engine
        self._before = before
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.max_batch, self.precision = engine.max_batch, engine.precision
        self.version, self.key, self.one_core = engine.version, engine.key, engine.one_core

    def __enter__(self) -> Around:
        self._engine.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._engine.__exit__(*exc)

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self._before(inputs[self.inputs[0].name])
        self._engine.run(inputs, outputs)

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Callable[[], None]:
        return lambda: self.run(inputs, outputs)

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._engine.infer(inputs)


def quick_table(stages: int = 3, max_batch: int = 8, lanes: Sequence[int] = ()) -> tuple[Profile, list[TableEngine]]:
    """Stages of some microseconds."""
    curves = {"stages": [{"latency_ms": {"1": 0.01, str(max_batch): 0.02}, "share": {"1": 0.1}}] * stages}
    return table_stages({"lanes": {str(length): curves for length in lanes}} if lanes else curves)


def token_of(query_id: int, length: int | None = None) -> dict[str, Array]:
    """A table's payload: who asks, and no stage done."""
    row = np.array([query_id, 0])
    return {"query": row if length is None else np.tile(row, (length, 1))}


def frozen_token(query_id: int, length: int | None = None) -> Mapping[str, Array]:
    """The same as a pool gives it: nobody can change it."""
    token = token_of(query_id, length)
    for array in token.values():
        array.setflags(write=False)
    return MappingProxyType(token)


@dataclass(slots=True)
class Served:
    """What a run left."""

    journal: Journal
    machine: Machine
    answers: dict[int, Mapping[str, Array]]
    launches: list[Launch]
    trace: str
    busy_ns: int
    table: TensorTable
    given_up: int = 0
    befell: Mapping[str, int] = field(default_factory=dict)

    def ended(self, outcome: Outcome) -> list[int]:
        """The queries that ended so."""
        return [query_id for query_id, how in enumerate(self.journal.outcome) if how == outcome]

    def tokens(self) -> dict[int, list[int]]:
        """What a table's answers say: (query, stages done)."""
        return {query_id: answer["answer"].tolist() for query_id, answer in self.answers.items()}


@dataclass(slots=True)
class Rig:
    """What a run is made of; `serve` may be called once for each schedule."""

    stages: Sequence[StageEngine]
    profile: Profile
    policy: Policy
    limits: Limits
    payload: Payload
    examples: Sequence[Mapping[str, Array]]
    pads: Mapping[str, float] = field(default_factory=dict)
    clock: Callable[[], int] = time.perf_counter_ns
    during: Callable[[ThreadedDriver], None] = lambda driver: None
    timeout_ns: int | None = None
    faults: Sequence[Fault] = ()

    def pull(self, arrivals_ns: Sequence[int], lengths: Sequence[int] | None = None,
             deadline_ns: int | None = None) -> Served:  # fmt: skip
        """The driver takes what is due."""
        return self._serve(arrivals_ns, lengths, PullArrivals(arrivals_ns, lengths, deadline_ns))

    def push(self, arrivals_ns: Sequence[int], lengths: Sequence[int] | None = None) -> Served:
        """A thread hands all over, one after the other, as fast as it can."""
        queries = PullArrivals(arrivals_ns, lengths)
        sent = [QueryArrived(queries.query(index)) for index in range(len(arrivals_ns))]
        return self._serve(arrivals_ns, lengths, pushed=sent)

    def at_once(self, events: Sequence[Event], queries: int) -> Served:
        """All of these events are there when the driver starts: one instant."""
        return self._serve([0] * queries, None, posted=events)

    def _serve(
        self,
        arrivals_ns: Sequence[int],
        lengths: Sequence[int] | None,
        pulled: PullArrivals | None = None,
        *,
        pushed: Sequence[Event] | None = None,
        posted: Sequence[Event] | None = None,
    ) -> Served:
        table = TensorTable(
            lay_out(self.stages, self.examples, [tensor.name for tensor in self.stages[-1].outputs]),
            self.limits.buffer_sets,
            self.limits.max_batch,
            poison=True,
        )
        machine = Machine(self.limits, self.profile, self.policy, debug=True)
        count = len(arrivals_ns)
        observer = Keeping(Journal(count, lengths), range(count))
        trace = io.StringIO()
        faults = Faults(self.faults, seed=1) if self.faults else None
        driver = ThreadedDriver(
            machine, table, observer, listener=Recorder(machine, trace), clock=self.clock, timeout_ns=self.timeout_ns,
            faults=faults,
        )  # fmt: skip
        launcher = Launcher(self.stages, table, self.payload, self.pads, driver.post, faults)
        self.during(driver)
        threads = [] if pushed is None else [threading.Thread(target=_post, args=(driver, pushed))]
        if posted is not None:
            _post(driver, posted)
        for thread in threads:
            thread.start()
        try:
            driver.run(launcher, pulled or NoArrivals(), until_closed=pulled is None)
        finally:
            launcher.close()
            for thread in threads:
                thread.join(30)
        assert machine.idle
        return Served(
            observer.journal, machine, observer.answers, observer.launches, trace.getvalue(), driver.busy_ns, table,
            driver.given_up, {} if faults is None else faults.counts,
        )  # fmt: skip


class Keeping(JournalObserver):
    """A journal that keeps every launch as well."""

    def __init__(self, journal: Journal, sample: Sequence[int]) -> None:
        super().__init__(journal, sample)
        self.launches: list[Launch] = []

    def launched(self, launch: Launch) -> None:
        super().launched(launch)
        self.launches.append(launch)


def table_rig(policy: Policy, limits: Limits, *, before: Callable[[Array], None] | None = None,
              lengths: Sequence[int] | None = None, clock: Callable[[], int] = time.perf_counter_ns) -> Rig:  # fmt: skip
    """A rig on a table of these limits; `before` is done before each run of any of its stages."""
    lanes = [lane for lane in limits.lanes if lane is not None]
    profile, tables = quick_table(limits.stages, limits.max_batch, lanes)
    stages: list[StageEngine] = list(tables) if before is None else [Around(each, before) for each in tables]
    return Rig(
        stages,
        profile,
        policy,
        limits,
        lambda query_id: token_of(query_id, None if lengths is None else lengths[query_id]),
        [{name: rows[None] for name, rows in token_of(0, lane).items()} for lane in limits.lanes],
        clock=clock,
    )


def bytes_across(layout: Layout, stage: int, lane: int) -> int:
    """Bytes per row that are alive at the boundary before this stage."""
    return sum(layout.rows[lane][name].bytes for name in layout.alive[stage])


def _post(driver: ThreadedDriver, events: Sequence[Event]) -> None:
    for event in events:
        driver.post(event)
    driver.close()
