"""A clock that runs only when told, and a session that tells it: timing without time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from slicer.samples import Values
from slicer.sessions import Session
from tests.slicer.hooked import HookedSession


class Clock:
    """Seconds spent so far. `slow_down(call)` is the factor that other load puts on each spending."""

    def __init__(self, slow_down: Callable[[int], float] = lambda _: 1.0) -> None:
        self._slow_down, self._now_s, self._calls = slow_down, 0.0, 0

    def __call__(self) -> float:
        return self._now_s

    def spend(self, seconds: float) -> None:
        self._now_s += seconds * self._slow_down(self._calls)
        self._calls += 1


def session_on(
    clock: Clock, cost_s: Callable[[onnx.NodeProto], float], run_s: Callable[[onnx.NodeProto], float] = lambda _: 0.0
) -> type[Session]:
    """Sessions that compute as ever, and spend on `clock` what their nodes cost: `cost_s` a row, `run_s` a batch."""

    class Clocked(HookedSession):
        def opened(self, model: bytes | Path, folded_to: Path | None) -> None:
            nodes = onnx.ModelProto.FromString(model if isinstance(model, bytes) else model.read_bytes()).graph.node
            self._row_s, self._run_s = sum(map(cost_s, nodes)), sum(map(run_s, nodes))

        def run(self, feeds: object) -> Values:
            values = super().run(feeds)  # type: ignore[arg-type]
            clock.spend(self._run_s + self._row_s * len(next(iter(values.values()))))
            return values

    return Clocked
