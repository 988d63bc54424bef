"""A simulated service at twice what it can do, with a bounded queue and faults, and its memory as time goes by: what the test
(a minute of simulated time) and the benchmark (an hour) share.

Memory is *flat* if it does not grow behind the first tenth of the run, by when queues, tables and caches are filled. It is
measured twice. Resident bytes say what the system sees. Blocks that Python's allocator has given out are exact: something of
a few bytes that is kept for every query, batch or launch shows long before it makes a page.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Operation
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, Normal
from dvabatch.batching.profile import Profile
from dvabatch.batching.view import View
from dvabatch.loadgen import make_schedule
from dvabatch.loadgen.processes import Poisson
from dvabatch.runtime.faults import Cancelling, Failing, Faults, Hurrying, Slow
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.simulated import SimulatedDriver

OVERLOAD = 2.0
MAX_BATCH, MAX_QUEUE = 8, 32
SAMPLES = 100
_NS_PER_S = 1_000_000_000
_MS = 1_000_000
_PAGE = os.sysconf("SC_PAGE_SIZE")

POLICIES: dict[str, Policy] = {
    "NORMAL": Normal(FillOrWait(MAX_BATCH, 5 * _MS, 2)),
    "HYBRID_DVA": HybridDva(CatchingUp(MAX_BATCH, MAX_BATCH, 2, None), Favoring((4, 8, 8, 4))),
}
FAULTS = (
    Cancelling(0.05, 60 * _MS),
    Hurrying(0.05, 150 * _MS),
    Failing(1, 0.01),
    Slow(2, 3, 10 * _NS_PER_S, 20 * _NS_PER_S),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory at an instant of simulated time."""

    now_ns: int
    resident_bytes: int
    blocks: int


class Sampling:
    """A policy that another one decides for; it looks at memory every so often, and at the queue always."""

    def __init__(self, policy: Policy, every_ns: int) -> None:
        self._policy = policy
        self._every_ns = every_ns
        self.samples: list[Sample] = []
        self.longest_queue = 0

    @property
    def digest(self) -> str:
        return self._policy.digest

    def plan(self, view: View) -> Iterator[Operation]:
        self.longest_queue = max(self.longest_queue, view.waiting.count)
        if view.now_ns >= len(self.samples) * self._every_ns:
            gc.collect()
            self.samples.append(Sample(view.now_ns, resident_bytes(), sys.getallocatedblocks()))
        yield from self._policy.plan(view)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a run left."""

    journal: Journal
    machine: Machine
    samples: tuple[Sample, ...]
    longest_queue: int
    befell: dict[str, int]

    @property
    def _settled(self) -> tuple[Sample, ...]:
        return self.samples[len(self.samples) // 10 :]

    @property
    def grown_bytes(self) -> int:
        """By how much resident memory ever exceeded what it was behind the first tenth."""
        return max(sample.resident_bytes for sample in self._settled) - self._settled[0].resident_bytes

    @property
    def grown_blocks(self) -> int:
        """The last tenth's median over the second tenth's: neither a moment's queue nor the schedule's end, when the last of it
        is freed, weighs in it. Each sample is some blocks itself."""
        tenth = len(self.samples) // 10
        blocks = [sample.blocks for sample in self.samples]
        return round(float(np.median(blocks[-tenth:]) - np.median(blocks[tenth : 2 * tenth])))

    def count(self, outcome: Outcome) -> int:
        return self.journal.outcome.count(outcome)

    def mean_response_ms(self, part: slice) -> float:
        """Of the queries of this part that were answered."""
        done = np.frombuffer(self.journal.outcome, np.uint8)[part] == Outcome.COMPLETED
        took = (
            np.frombuffer(self.journal.done_ns, np.int64)[part] - np.frombuffer(self.journal.arrival_ns, np.int64)[part]
        )
        return float(took[done].mean()) / _MS


def soak(policy: Policy, duration_s: float, *, samples: int = SAMPLES, seed: int = 1) -> Soaked:
    """Twice the capacity of a service that does 100 queries a second, for so long in simulated time."""
    stage = {"latency_ms": {"1": 8, str(MAX_BATCH): 20}}
    profile = Profile.from_table({"name": "soak", "stages": [stage] * 4, "boundary_us": 50, "launch_us": 50})
    limits = Limits(4, MAX_BATCH, buffer_sets=4, executors_per_stage=2, max_queue=MAX_QUEUE)
    rate_rps = OVERLOAD * profile.capacity_rps(MAX_BATCH)
    schedule = make_schedule(Poisson(rate_rps), None, num_requests=None, max_duration_s=duration_s, seed=seed)
    watched = Sampling(policy, round(duration_s * _NS_PER_S / samples))
    machine, faults = Machine(limits, profile, watched), Faults(FAULTS, seed)
    gc.collect()
    gc.freeze()  # what was there before is not looked through with every sample
    try:
        journal = SimulatedDriver(machine, faults=faults).run(schedule.arrivals_ns)
    finally:
        gc.unfreeze()
    return Soaked(journal, machine, tuple(watched.samples), watched.longest_queue, faults.counts)


def resident_bytes() -> int:
    """What this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
