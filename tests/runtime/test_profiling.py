"""The profile of a host, measured on stages that sleep: what they are told to cost is what is found."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.runtime.profiling import Effort, Profiler, ProfileRun
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.table import table_stages
from dvabatch.runtime.tensors import TensorTable
from engines.base import Array, StageEngine
from engines.errors import EngineError
from engines.table import TableEngine
from tests.runtime.rig import token_of

EFFORT = Effort(budget_s=0.05, least=1, most=3)


class Failing(TableEngine):
    """Runs for some times, and then fails."""

    runs = most = 0

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self.runs += 1
        if self.runs > self.most:
            raise EngineError("out of memory")
        super().run(inputs, outputs)


def profiled(share: float, executors: int, ms: float = 20.0, *, failing_after: int | None = None) -> ProfileRun:
    def table(stages: int) -> dict[str, object]:
        return {"stages": [{"latency_ms": {"1": ms / stages}, "share": {"1": share}}] * stages}

    stages: list[StageEngine] = list(table_stages(table(2))[1])
    (whole,) = table_stages(table(1))[1]
    if failing_after is not None:
        for engine in stages:
            engine.__class__ = Failing
            engine.most = failing_after  # type: ignore[attr-defined]
    limits = Limits(2, 1, buffer_sets=executors, executors_per_stage=executors)
    examples = [{name: rows[None] for name, rows in token_of(0, None).items()}]
    tensors = TensorTable(lay_out(stages, examples, ["answer"]), limits.buffer_sets, 1)
    return Profiler("sleepy", stages, whole, tensors, limits, examples, effort=EFFORT).measure()


def test_a_device_that_serves_one_at_a_time_has_no_room_for_two() -> None:
    profile = profiled(1.0, 2).profile
    assert profile.share(0, 1, 0) >= 0.85
    assert 10e6 <= profile.stage_ns(0, 1, 0) <= 20e6


def test_a_device_with_room_has_room_and_four_at_once_slow_down_by_what_is_missing() -> None:
    profile = profiled(0.5, 4).profile
    assert profile.share(0, 1, 0) <= 0.65
    assert profile.slowdown(4 * profile.share(0, 1, 0)) == pytest.approx(2.0, rel=0.25)


@pytest.mark.parametrize(
    ("runs", "told"), [(12, "^out of memory$"), (75, r"queries of the profile got no answer: .*out of memory")]
)
def test_a_profile_of_launches_that_fail_is_no_profile(runs: int, told: str) -> None:
    """In the threads that run two side by side, and in the driver behind them."""
    with pytest.raises(EngineError, match=told):
        profiled(0.5, 2, failing_after=runs)
