"""A host that is never twice the same, in simulation: what `compare` has to see through.

A model of it, and no measurement: a quiet host of one's own. Every launch takes longer or shorter on its own (2 %), and by how
the host is doing at the moment (1 %, forgotten within a quarter of a second). Where runs differ, each has a speed of its own
too (0.3 %), whatever happens inside it; it is drawn for each run, as where both sides take turns. What is slower takes longer
by a fixed factor in everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import Schedule
from dvabatch.reporting.measured import IntArray
from dvabatch.runtime.device_model import DeviceModel, Phases
from dvabatch.runtime.simulated import SimulatedDriver
from tests.bench.tabled import Tabled

_STEP_NS = 10_000_000  # how finely the host's state is drawn
_LAUNCHES = 1 << 15  # longer runs meet the same factors again


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations of logarithms, and how long the host remembers its state."""

    of_launches: float = 0.02
    of_host: float = 0.01
    memory_ns: float = 250e6
    of_runs: float = 0.0


class NoisyDevice(DeviceModel):
    """Work takes as long as the noise says."""

    def __init__(self, profile: Profile, noise: Noise, seed: int, span_ns: int) -> None:
        """`span_ns` is about how long the run lasts; beyond it the host goes through the same states again."""
        super().__init__(profile.slowdown)
        draw = np.random.default_rng(seed)
        self._launches = np.exp(noise.of_launches * draw.standard_normal(_LAUNCHES))
        carry = math.exp(-_STEP_NS / noise.memory_ns)
        count = 1 + span_ns // _STEP_NS
        shocks = noise.of_host * math.sqrt(1 - carry**2) * draw.standard_normal(count)
        state, states = noise.of_host * draw.standard_normal(), np.empty(count)
        for step, shock in enumerate(shocks):
            state = carry * state + shock
            states[step] = state
        self._host = np.exp(states + noise.of_runs * draw.standard_normal())
        self._begun = 0

    def start(self, launch_id: int, phases: Phases, now_ns: int) -> None:
        factor = float(self._host[now_ns // _STEP_NS % len(self._host)] * self._launches[self._begun % _LAUNCHES])
        self._begun += 1
        super().start(launch_id, tuple((round(work_ns * factor), share) for work_ns, share in phases), now_ns)


def noisy_responses(tabled: Tabled, schedule: Schedule, noise: Noise, seed: int, slower: float = 1.0) -> IntArray:
    """int64[n]: the responses of one run in ns; the machine knows the profile and nothing of the noise."""
    machine = Machine(tabled.limits, tabled.profile, tabled.policy)
    costs = tabled.profile.at_speed(slower)
    driver = SimulatedDriver(machine, profile=costs)
    driver._device = NoisyDevice(costs, noise, seed, int(schedule.arrivals_ns[-1]))
    journal = driver.run(schedule.arrivals_ns, schedule.lengths)
    return np.frombuffer(journal.done_ns, np.int64) - np.frombuffer(journal.arrival_ns, np.int64)
