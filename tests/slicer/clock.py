"""A clock that runs only when told, and a session that tells it: timing without time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from slicer.samples import Values
from slicer.sessions import Session


class Clock:
    """Seconds spent so far. `slow_down(call)` is the factor that other load puts on each spending."""

    def __init__(self, slow_down: Callable[[int], float] = lambda _: 1.0) -> None:
        self._slow_down, self._now_s, self._calls = slow_down, 0.0, 0

    def __call__(self) -> float:
        return self._now_s

    def spend(self, seconds: float) -> None:
        self._now_s += seconds * self._slow_down(self._calls)
        self._calls += 1


def session_on(clock: Clock, cost_s: Callable[[onnx.NodeProto], float]) -> type[Session]:
    """Sessions that compute as ever, and spend on `clock` what `cost_s` says of their nodes, for each row."""

    class Clocked(Session):
        def __init__(
            self,
            model: bytes | Path,
            *,
            threads: int,
            optimise: bool = True,
            folded_to: Path | None = None,
            weights: Path | None = None,
        ) -> None:
            super().__init__(model, threads=threads, optimise=optimise, folded_to=folded_to, weights=weights)
            proto = onnx.ModelProto.FromString(model if isinstance(model, bytes) else model.read_bytes())
            self._row_s = sum(cost_s(node) for node in proto.graph.node)

        def run(self, feeds: object) -> Values:
            values = super().run(feeds)  # type: ignore[arg-type]
            clock.spend(self._row_s * len(next(iter(values.values()))))
            return values

    return Clocked
