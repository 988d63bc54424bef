"""What AUTO gains: its mean response against ordinary batching at its best and as it is often left, in simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import make_schedule
from dvabatch_cli import baselines, tuning
from dvabatch_cli.config import Config, load_config
from dvabatch_cli.ground import lay_ground
from dvabatch_cli.halving import Round, mean_ns
from dvabatch_cli.wiring import Contender, LoadPoint, contender_of, lengths_of, limits_of, load_points
from tests.bench.figure import Benchmark, Figure, Scale

_LOADS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 0.95)
_SEEDS = (1, 2, 3, 4, 5)
_SWEEP = (Round(10_000, 800), Round(16, 3_000), Round(5, 12_000))
_SWEEP_WHOLE = (Round(10_000, 10_000), Round(5, 20_000))  # a load that changes is to be met whole from the start
_UNDER_UNTUNED = {"resnet_152": 0.60, "unet": 0.60, "bert_base": 0.65}  # up to half load
_UNDER_SWEPT = {("unet", 0.3): 0.97, ("unet", 0.5): 0.97, ("unet", 0.7): 0.97}
_AT_MOST = 1.02


@dataclass(frozen=True, slots=True)
class _Case:
    """A config's load, changed, on a profile that may be changed too."""

    name: str
    changes: tuple[str, ...]
    boundary_us: float = 0.0


def _cases() -> Iterator[tuple[_Case, float, float | None]]:
    """Each with the most that AUTO may take of swept, and of untuned."""
    for name in ("resnet_152", "unet", "bert_base"):
        for load in _LOADS:
            under = _UNDER_UNTUNED[name] if load <= 0.5 else None
            yield _Case(name, (f"load.utilization={load}",)), _UNDER_SWEPT.get((name, load), _AT_MOST), under
        steps = ", ".join(f"[0.25, {load}]" for load in _LOADS)
        yield _Case(name, ('load.process="step"', "load.utilization=null", f"load.steps=[{steps}]")), _AT_MOST, None
        for dwell_ms in (20, 200):
            states = ('load.process="mmpp"', "load.utilization=null", "load.states=[0.1, 0.9]")
            yield _Case(name, (*states, f"load.dwell_ms=[{dwell_ms}, {dwell_ms}]")), 1.0, None
    for load in _LOADS:
        yield _Case("unet", (f"load.utilization={load}",), boundary_us=30), _AT_MOST, None


def run(scale: Scale) -> Iterator[Figure]:
    for case, most, under in _cases():
        config = load_config(f"auto_{case.name}_table", case.changes)
        ground = lay_ground(config, lambda _: None)
        table = {**ground.profile.to_table(), "boundary_us": case.boundary_us}
        profile = Profile.from_table(table)
        (point,) = load_points(config, ground.capacity_rps)
        told = f"{case.name}, {case.changes[0].partition('=')[2]} {case.changes[-1].partition('=')[2]}"
        told += f", boundaries {case.boundary_us:g} us" if case.boundary_us else ""
        scale.say(f"sweeping for {told}")
        (auto,) = [contender_of(policy, profile) for policy in tuning.with_settings(config, profile, scale.say)]
        changes = config.load.process != "poisson"
        rounds = _SWEEP_WHOLE if changes else _SWEEP
        queries = 20_000 if changes else scale.pick(20_000, 4_000)  # never a part of a load that changes
        swept = baselines.swept(config, profile, point, rounds=rounds, say=lambda _: None)
        mean_ms = _mean_ms(auto, config, profile, point, queries)
        best_ms, best = min((_mean_ms(one, config, profile, point, queries), one.name) for one in swept)
        plain_ms = _mean_ms(baselines.untuned(config, profile), config, profile, point, queries)
        detail = f"{mean_ms:.3f} ms; {best} {best_ms:.3f} ms; untuned {plain_ms:.3f} ms"
        yield Figure(f"AUTO over swept, {told}", mean_ms / best_ms, "", most, detail=detail)
        if under is not None:
            yield Figure(f"AUTO over untuned, {told}", mean_ms / plain_ms, "", under, detail=detail)


def _mean_ms(contender: Contender, config: Config, profile: Profile, point: LoadPoint, queries: int) -> float:
    """Over all seeds, each a schedule of its own."""
    limits, lengths = limits_of(config, profile.stages), lengths_of(config)
    schedules = [
        make_schedule(point.process, lengths, num_requests=queries, max_duration_s=None, seed=seed) for seed in _SEEDS
    ]
    return fmean(mean_ns(Machine(limits, profile, contender.policy), schedule) for schedule in schedules) / 1e6


BENCHMARK = Benchmark(
    "auto", "AUTO against swept and untuned ordinary batching, simulated on the tables of configs/", run
)
