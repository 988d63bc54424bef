"""The search for a policy's best options: many settings on short simulated runs, the better ones on longer runs.

Successive halving, on the measured profile and with other seeds than any comparison's.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import Schedule, make_schedule
from dvabatch.loadgen.lengths import LengthDistribution
from dvabatch.loadgen.processes import Process
from dvabatch.runtime.journal import Outcome
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch_cli.config.policies import AnyPolicy
from dvabatch_cli.wiring import policy_of

SEED_OFFSET = 1_000_003  # far from the seeds that people choose for a comparison
Map = Callable[[Callable[["Trial"], float], Sequence["Trial"]], Iterator[float]]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of halving: how many settings enter, each on how many queries."""

    settings: int
    queries: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting on one schedule. It goes to another process, where a compiled profile or limits do not: they go as what they
    are made from."""

    setting: AnyPolicy
    profile: str  # its table, as JSON
    of_capacity: float
    limits: Mapping[str, Any]
    process: Process
    lengths: LengthDistribution | None
    queries: int
    seed: int


@dataclass(frozen=True, slots=True)
class Search:
    """What settings are tried on: a machine that knows the profile, and a device that is under a load of such a part of its
    capacity."""

    profile: Profile
    of_capacity: float
    limits: Limits
    process: Process
    lengths: LengthDistribution | None
    seed: int

    def ranked(
        self, settings: Sequence[AnyPolicy], rounds: Sequence[Round], across: Map, say: Callable[[int, int], None]
    ) -> list[tuple[float, AnyPolicy]]:
        """The settings of the last round with their mean response in ns, best first; `say` hears of each round."""
        found: list[tuple[float, AnyPolicy]] = [(0.0, setting) for setting in settings]
        table, limits = json.dumps(self.profile.to_table()), asdict(self.limits)
        for turn in rounds:
            entering = [setting for _, setting in found[: turn.settings]]
            say(len(entering), turn.queries)
            trials = [
                Trial(setting, table, self.of_capacity, limits, self.process, self.lengths, turn.queries, self.seed)
                for setting in entering
            ]
            found = sorted(zip(across(tried_ns, trials), entering, strict=True), key=lambda pair: pair[0])
        return found


def mean_ns(machine: Machine, schedule: Schedule, device: Profile | None = None) -> float:
    """Mean response of the answered queries, in simulation; `device` is what things cost, if not what the machine knows."""
    journal = SimulatedDriver(machine, None, device).run(schedule.arrivals_ns, schedule.lengths)
    spent = [
        done - arrival
        for done, arrival, outcome in zip(journal.done_ns, journal.arrival_ns, journal.outcome, strict=True)
        if outcome == Outcome.COMPLETED
    ]
    return sum(spent) / len(spent) if spent else float("inf")


def tried_ns(trial: Trial) -> float:
    """Mean response of the answered queries of a trial."""
    schedule = make_schedule(
        trial.process, trial.lengths, num_requests=trial.queries, max_duration_s=None, seed=trial.seed
    )
    profile, device = _profiles(trial.profile, trial.of_capacity)
    return mean_ns(Machine(Limits(**trial.limits), profile, policy_of(trial.setting, profile)), schedule, device)


@lru_cache(maxsize=1)  # all trials of a search are on one
def _profiles(table: str, of_capacity: float) -> tuple[Profile, Profile]:
    """That which the machine knows, and that of the device."""
    profile = Profile.from_table(json.loads(table))
    return profile, profile.at_load(of_capacity)


@contextmanager
def pool() -> Iterator[Map]:
    """One process a core; spawned, since forking a process with running threads is not safe."""
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as opened:

        def across(act: Callable[[Trial], float], trials: Sequence[Trial]) -> Iterator[float]:
            with _interrupts_held():  # by the workers, which are started with the first trials
                return opened.map(act, trials)

        try:
            yield across
        except BaseException:
            opened.shutdown(wait=False, cancel_futures=True)  # only what runs already is waited for
            raise


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A Ctrl-C reaches the whole process group, and is ours to act on: processes started here inherit that it is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
