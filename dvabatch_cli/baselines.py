"""The baselines of a comparison: ordinary batching untuned, and ordinary batching at its best.

*Untuned* is a dynamic batcher as it is often left: batches up to 32, 2 ms of delay. *Swept* is the best of NORMAL (and of
NORMAL_INPUT, for models with lengths) over a grid, found in simulation on the measured profile with other seeds than the
comparison's. The grid is searched by successive halving: all settings on short runs, the better ones on longer, the last
few on at least 50,000 queries.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import make_schedule
from dvabatch.loadgen.lengths import LengthDistribution
from dvabatch.loadgen.processes import Process
from dvabatch.runtime.journal import Outcome
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch_cli.config import Config
from dvabatch_cli.config.policies import AnyPolicy, NormalInputOptions, NormalOptions
from dvabatch_cli.wiring import Contender, LoadPoint, contender_of, lengths_of, limits_of, policy_of

BATCHES = (1, 2, 4, 8, 16, 32)
DELAYS_US = (0, 250, 500, 1000, 2000, 4000)
INSTANCES = (1, 2, 4, 8)
UNTUNED_BATCH, UNTUNED_DELAY_US = 32, 2000
BEST = 3
_SEED_OFFSET = 1_000_003  # far from the seeds that people choose for a comparison


@dataclass(frozen=True, slots=True)
class Round:
    """One round of halving: how many settings enter, each on how many queries."""

    settings: int
    queries: int


FULL = (Round(10_000, 1_000), Round(24, 5_000), Round(4, 50_000))
QUICK = (Round(10_000, 500), Round(12, 2_000), Round(4, 8_000))


def untuned(config: Config, profile: Profile) -> Contender:
    """Ordinary batching as it is often left."""
    options = {
        "name": "untuned",
        "max_batch_size": min(UNTUNED_BATCH, config.engine.max_batch),
        "max_queue_delay_microseconds": UNTUNED_DELAY_US,
        "preferred_seq_len": config.lanes or None,
    }
    return contender_of(_section("NORMAL_INPUT" if config.lanes else "NORMAL", options), profile, "untuned")


def grid(config: Config) -> list[AnyPolicy]:
    """Every setting of ordinary batching that these engines can run."""
    engine = config.engine
    batches = sorted({min(batch, engine.max_batch) for batch in BATCHES})
    instances = [count for count in INSTANCES if count <= min(engine.executors_per_stage, engine.buffer_set_size)]
    kinds = ("NORMAL", "NORMAL_INPUT") if config.lanes else ("NORMAL",)
    return [
        _section(
            kind,
            {
                "name": f"swept {kind.removeprefix('NORMAL').strip('_').lower()} b{batch} d{delay_us} i{count}".replace(
                    "  ", " "
                ),
                "max_batch_size": batch,
                "max_queue_delay_microseconds": delay_us,
                "instances": count,
                "preferred_seq_len": config.lanes or None,
            },
        )
        for kind, batch, delay_us, count in product(kinds, batches, DELAYS_US, instances)
        if batch > 1 or delay_us == 0  # a batch of one waits for nobody
    ]


def swept(
    config: Config, profile: Profile, point: LoadPoint, *, rounds: Sequence[Round] = FULL, say: Callable[[str], None]
) -> list[Contender]:
    """The best few settings at a load, best first, by mean response in simulation."""
    settings = grid(config)
    seed = max(config.load.seeds) + _SEED_OFFSET
    limits = limits_of(config, profile.stages)
    lengths = lengths_of(config, point.process)
    ranked: list[tuple[float, AnyPolicy]] = [(0.0, setting) for setting in settings]
    with _pool() as pool:
        for turn in rounds:
            entering = [setting for _, setting in ranked[: turn.settings]]
            say(f"sweeping {len(entering)} settings of NORMAL, {turn.queries} queries each, simulated")
            trials = [
                Trial(setting, profile, limits, point.process, lengths, turn.queries, seed) for setting in entering
            ]
            with _interrupts_held():
                means = pool.map(_mean_ns, trials)
            ranked = sorted(zip(means, entering, strict=True), key=lambda pair: pair[0])
    return [contender_of(setting, profile, "swept") for _, setting in ranked[:BEST]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting on one schedule."""

    options: AnyPolicy
    profile: Profile
    limits: Limits
    process: Process
    lengths: LengthDistribution | None
    queries: int
    seed: int


def _mean_ns(trial: Trial) -> float:
    """Mean response of the answered queries."""
    schedule = make_schedule(
        trial.process, trial.lengths, num_requests=trial.queries, max_duration_s=None, seed=trial.seed
    )
    machine = Machine(trial.limits, trial.profile, policy_of(trial.options, trial.profile))
    journal = SimulatedDriver(machine).run(schedule.arrivals_ns, schedule.lengths)
    spent = [
        done - arrival
        for done, arrival, outcome in zip(journal.done_ns, journal.arrival_ns, journal.outcome, strict=True)
        if outcome == Outcome.COMPLETED
    ]
    return sum(spent) / len(spent) if spent else float("inf")


@contextmanager
def _pool() -> Iterator[ProcessPoolExecutor]:
    """One process a core; spawned, since forking a process with running threads is not safe."""
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # only what runs already is waited for
            raise


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A Ctrl-C reaches the whole process group, and is ours to act on: processes started here inherit that it is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _section(kind: str, options: dict[str, object]) -> AnyPolicy:
    section = NormalInputOptions if kind == "NORMAL_INPUT" else NormalOptions
    return section.model_validate({"scheduler_type": kind, **options})
