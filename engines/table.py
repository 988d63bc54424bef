"""The table engine: sleeps by a latency table, and passes on who went through.

It needs no model and no device, so most tests and every experiment on published tables use it. Its rows carry (query token,
stages done): a stage adds one to the count, so that a row which was routed wrongly, or skipped a stage, shows in the answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np
from typing_extensions import Self

from engines.base import Array
from engines.errors import EngineError
from slicer.manifest import TensorSpec

INPUT, OUTPUT = "query", "answer"
_NS_PER_S = 1e9


class TableDevice:
    """What the engines of one table share: launches at once slow each other down when their shares sum past 1."""

    def __init__(self, slowdown: Callable[[float], float]) -> None:
        self._slowdown = slowdown
        self._changed = threading.Condition()
        self._shares: list[float] = []

    def work(self, work_ns: int, share: float) -> None:
        """Takes as long as this much work takes beside what else is on the device."""
        left_ns = float(work_ns)
        with self._changed:
            self._shares.append(share)
            self._changed.notify_all()
            now_ns = time.perf_counter_ns()
            while left_ns > 0:
                slow = self._slowdown(sum(self._shares))
                self._changed.wait(left_ns * slow / _NS_PER_S)
                before_ns, now_ns = now_ns, time.perf_counter_ns()
                left_ns -= (now_ns - before_ns) / slow
            self._shares.remove(share)
            self._changed.notify_all()


class TableEngine:
    """One stage of a table. `cost(batch, row_shape) -> (nanoseconds, share)` is the table's row for it."""

    def __init__(
        self,
        stage: int,
        stages: int,
        cost: Callable[[int, tuple[int, ...]], tuple[int, float]],
        device: TableDevice,
        *,
        max_batch: int,
        key: str,
        has_lengths: bool = False,
    ) -> None:
        name_in = INPUT if stage == 0 else f"boundary_{stage - 1}"
        name_out = OUTPUT if stage == stages - 1 else f"boundary_{stage}"
        shape: tuple[int | str, ...] = ("N", "S", 2) if has_lengths else ("N", 2)
        self._stage = stage
        self._cost = cost
        self._device = device
        self.inputs = (TensorSpec(name_in, "int64", shape),)
        self.outputs = (TensorSpec(name_out, "int64", shape),)
        self.max_batch = max_batch
        self.one_core = False  # it sleeps
        self.precision = "none"
        self.version = "table"
        self.key = key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        rows, answers = inputs[self.inputs[0].name], outputs[self.outputs[0].name]
        if rows.shape != answers.shape or not 0 < len(rows) <= self.max_batch:
            raise EngineError(
                f"stage {self._stage} takes 1 to {self.max_batch} rows, got {rows.shape} into {answers.shape}"
            )
        work_ns, share = self._cost(len(rows), rows.shape[1:])
        self._device.work(work_ns, share)
        np.copyto(answers, rows)
        np.add(answers[..., 1], 1, out=answers[..., 1])

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Callable[[], None]:
        return lambda: self.run(inputs, outputs)

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = inputs[self.inputs[0].name]
        outputs = {self.outputs[0].name: np.empty_like(rows)}
        self.run(inputs, outputs)
        return outputs
