"""What the runtime costs: one query at a time through it while it is idle, against the chained engines called directly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

import numpy as np

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import LoadDva, Normal
from dvabatch.runtime import Runtime
from dvabatch.runtime.profiling import Effort
from engines.base import Array, StageEngine
from tests.bench.figure import Benchmark, Figure, Scale
from tests.bench.resnet import STAGES, config_at, prepared_at, profiled, row_of

TARGET = 1.05
_MAX_BATCH = 8


def run(scale: Scale) -> Iterator[Figure]:
    config = config_at(64, _MAX_BATCH)
    prepared = prepared_at(config, scale)
    profile = profiled(config, prepared, scale, Effort(budget_s=0.1, least=2, most=5)).profile
    row = row_of(config, prepared)
    policies: tuple[Policy, ...] = (
        Normal(FillOrWait(_MAX_BATCH, max_delay_ns=0, instances=1)),
        LoadDva(CatchingUp(_MAX_BATCH, _MAX_BATCH, last_stage=2, max_age_ns=profile.whole_ns(1, 0))),
    )
    for policy in policies:
        name = policy.digest.split()[0]
        scale.say(f"one query at a time through {name}")
        stages = [prepared.open_stage(index, _MAX_BATCH) for index in range(STAGES)]
        limits = Limits(STAGES, _MAX_BATCH)
        with Runtime(stages, policy, profile, limits=limits) as runtime:
            through_ms, direct_ms = _alternate(
                lambda runtime=runtime: runtime.submit(row).result(),  # type: ignore[misc]
                _chain(stages, row),
                scale.pick(200, 20),
            )
        yield Figure(
            f"idle runtime, {name}, 64x64",
            through_ms / direct_ms,
            "of direct",
            TARGET,
            detail=f"{through_ms:.2f} ms against {direct_ms:.2f} ms, {(through_ms - direct_ms) * 1e3:+.0f} us",
        )


def _chain(stages: Sequence[StageEngine], row: Mapping[str, Array]) -> Callable[[], object]:
    """The stages one after another in arrays that are there already: nothing but the engines."""
    values: dict[str, Array] = {name: np.ascontiguousarray(value)[None] for name, value in row.items()}
    steps = []
    for stage in stages:
        inputs = {tensor.name: values[tensor.name] for tensor in stage.inputs}
        outputs = stage.infer(inputs)
        values.update(outputs)
        steps.append((stage, inputs, outputs))

    def chain() -> None:
        for stage, inputs, outputs in steps:
            stage.run(inputs, outputs)

    return chain


def _alternate(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median milliseconds of each; they take turns in going first, so that a drifting clock favours neither."""
    times_ns: tuple[list[int], list[int]] = ([], [])
    for turn in range(rounds + 4):
        for which in (0, 1) if turn % 2 else (1, 0):
            began_ns = time.perf_counter_ns()
            (one, other)[which]()
            if turn >= 4:  # the first ones warm up
                times_ns[which].append(time.perf_counter_ns() - began_ns)
    return median(times_ns[0]) / 1e6, median(times_ns[1]) / 1e6


BENCHMARK = Benchmark("idle", "one query through the idle runtime against the chained engines called directly", run)
