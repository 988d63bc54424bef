"""How long the runs of figures take and what they leave on the disk, told before they start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dvabatch_cli import baselines
from dvabatch_cli.config import Config
from dvabatch_cli.config.policies import AutoOptions
from dvabatch_cli.studies.study import Run

# Rates seen on two cores, rounded down; they are there to tell minutes from hours.
_SIMULATED_QUERIES_PER_S = 20_000
_SWEEP_S, _QUICK_SWEEP_S = 25.0, 6.0  # of one load, and for each of NORMAL and NORMAL_INPUT
_TUNING_S = 90.0  # of AUTO's settings, on one profile
_PREPARING_S = 240.0  # a model written, cut, proven, built and profiled
_BYTES_OF_QUERY = 110  # its raw record
_USUAL_REQUESTS = 2_000  # of a load that says neither how many nor how long
_BYTES_OF_RUN = 6_000  # what it adds to the report, in both forms


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of runs that are missing. For measured ones, seconds are a bound where their config has one."""

    points: int
    seconds: float
    size_bytes: float

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.points + other.points, self.seconds + other.seconds, self.size_bytes + other.size_bytes)

    def __str__(self) -> str:
        lasting = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        return f"{self.points} points, about {lasting} and {self.size_bytes / 1e6:.0f} MB"


def of_runs(runs: Iterable[Run], quick: bool) -> Estimate:
    """All of them, one after another."""
    return sum((_of_run(run, quick) for run in runs), Estimate(0, 0.0, 0.0))


def _of_run(run: Run, quick: bool) -> Estimate:
    config = Config.model_validate(run.document(quick).raw)
    load = config.load
    rates = len(load.utilization or load.request_rate or (None,))
    contenders = len(config.policies) + ("untuned" in config.baselines) + baselines.BEST * ("swept" in config.baselines)
    points = rates * len(load.seeds) * contenders
    queries = points * (load.num_requests or _USUAL_REQUESTS)
    seconds = rates * _sweeping_s(config, quick) + _tuning_s(config)
    if run.simulated:
        seconds += queries / _SIMULATED_QUERIES_PER_S
    else:
        seconds += len(load.seeds) * contenders * sum(_lasting_s(config)) + (0.0 if quick else _PREPARING_S)
    return Estimate(points, seconds, float(queries * _BYTES_OF_QUERY + points * _BYTES_OF_RUN))


def _lasting_s(config: Config) -> list[float]:
    """How long a schedule of each rate lasts, at the most where the capacity decides it."""
    load = config.load
    bounds = [bound for bound in (load.duration_s, load.max_duration_s) if bound is not None]
    rates = load.request_rate
    if rates is None:
        return [min(bounds, default=0.0)] * len(load.utilization or (None,))
    return [min([*bounds, (load.num_requests or _USUAL_REQUESTS) / rate]) for rate in rates]


def _sweeping_s(config: Config, quick: bool) -> float:
    kinds = 2 if config.lanes else 1
    return kinds * (_QUICK_SWEEP_S if quick else _SWEEP_S) if "swept" in config.baselines else 0.0


def _tuning_s(config: Config) -> float:
    asked = any(isinstance(policy, AutoOptions) and policy.settings is None for policy in config.policies)
    return _TUNING_S if asked else 0.0
