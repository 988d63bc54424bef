"""What a decision costs: the wall time of the whole `Machine.handle` while a thousand queries wait, by policy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from dvabatch.batching.commands import Command
from dvabatch.batching.events import Event
from dvabatch.batching.machine import Machine
from dvabatch.runtime.simulated import SimulatedDriver
from tests.bench.figure import Benchmark, Figure, Scale
from tests.bench.tabled import Tabled, ahead, length_policies, resnet_policies

TARGET_US = 100.0
WAITING = 1_000
_HANDLES = 4_000
_HEADROOM = 1.02  # over what the policy can serve, so that the queue stays long from the first handle to the last


class _TimedMachine:
    """A machine, each of whose calls is timed; those that found too few queries waiting do not count.

    It is around the machine, not one itself: a compiled one has no subclasses.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.took_ns: list[int] = []
        self.acting_ns: list[
            int
        ] = []  # of those that answered with a command: the others only put a query into the queue
        self.longest_queue = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def handle(self, events: Sequence[Event], now_ns: int) -> list[Command]:
        waiting, handle = self._machine.ledger.waiting.count, self._machine.handle
        began_ns = time.perf_counter_ns()
        commands = handle(events, now_ns)
        took_ns = time.perf_counter_ns() - began_ns
        if waiting >= WAITING:
            self.took_ns.append(took_ns)
            if commands:
                self.acting_ns.append(took_ns)
            self.longest_queue = max(self.longest_queue, waiting)
        return commands


def run(scale: Scale) -> Iterator[Figure]:
    stage_wise = resnet_policies()
    for tabled in (*stage_wise, ahead(stage_wise[0]), *length_policies()):
        scale.say(f"a saturated run of {tabled.name} on {tabled.table}")
        yield _timed(tabled, scale.pick(_HANDLES, _HANDLES // 4))


def _timed(tabled: Tabled, handles: int) -> Figure:
    """A burst that fills the queue, then a Poisson load of a little more than the policy can serve."""
    served_rps = _saturated_rps(tabled)
    queries = WAITING + 8 * handles
    while True:
        machine = _TimedMachine(Machine(tabled.limits, tabled.profile, tabled.policy))
        schedule = tabled.schedule(served_rps * _HEADROOM, queries)
        burst = round(WAITING * 1.2)
        arrivals_ns = np.concatenate([np.arange(burst), schedule.arrivals_ns[:-burst] + burst])
        SimulatedDriver(cast(Machine, machine)).run(arrivals_ns, schedule.lengths)
        if len(machine.took_ns) >= handles:
            break
        queries *= 2
    p50, p99 = (float(value) / 1e3 for value in np.percentile(machine.took_ns, (50, 99)))
    acting50, acting99 = (float(value) / 1e3 for value in np.percentile(machine.acting_ns, (50, 99)))
    detail = (
        f"p50 {p50:.1f}, max {max(machine.took_ns) / 1e3:.0f}; {len(machine.took_ns):,} handles; {len(machine.acting_ns):,} "
        f"of them with commands: p50 {acting50:.1f}, p99 {acting99:.1f}; {WAITING:,} to {machine.longest_queue:,} waiting"
    )
    return Figure(f"decision p99, {tabled.name}, {tabled.table}", p99, "us", TARGET_US, detail=detail)


def _saturated_rps(tabled: Tabled) -> float:
    """How many queries a second the policy serves when it never has to wait for one."""
    queries = 4_000
    schedule = tabled.schedule(tabled.capacity_rps * 20, queries)
    journal = SimulatedDriver(Machine(tabled.limits, tabled.profile, tabled.policy)).run(
        schedule.arrivals_ns, schedule.lengths
    )
    return queries / (journal.span_ns / 1e9)


BENCHMARK = Benchmark("decision", f"the whole of Machine.handle with {WAITING:,} queries waiting, every policy", run)
