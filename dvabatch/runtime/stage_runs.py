"""Stages on rows of a table, run at once and by hand: for what is timed without a driver."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from dvabatch.batching.place import Place
from dvabatch.runtime.tensors import TensorTable
from engines.base import Array, StageEngine


class StageRuns:
    """`examples[lane]` is an input batch of 1, as long as its lane."""

    def __init__(
        self, stages: Sequence[StageEngine], table: TensorTable, examples: Sequence[Mapping[str, Array]]
    ) -> None:
        self._stages = stages
        self._table = table
        self._examples = examples

    def __len__(self) -> int:
        """How many stages there are."""
        return len(self._stages)

    def fill(self, place: Place, lane: int) -> None:
        """Real rows everywhere: the example, run through all stages."""
        self.write_inputs(place, lane)
        self.run_chain(place, lane)

    def write_inputs(self, place: Place, lane: int) -> dict[str, Array]:
        """The example in every row; answers with the rows."""
        inputs = dict(self._table.rows(place, lane, self._table.layout.inputs))
        for name, rows in inputs.items():
            rows[...] = self._examples[lane][name]
        return inputs

    def run_chain(self, place: Place, lane: int) -> None:
        """All stages, one after another."""
        for stage in range(len(self._stages)):
            self.run(stage, place, lane)

    def run(self, stage: int, place: Place, lane: int) -> None:
        """One stage, on what those before it left in these rows."""
        layout = self._table.layout
        inputs = self._table.rows(place, lane, layout.reads[stage])
        self._stages[stage].run(inputs, self._table.rows(place, lane, layout.writes[stage]))

    def timed_ns(self, stage: int, place: Place, lane: int) -> int:
        """How long one stage takes."""
        began_ns = time.perf_counter_ns()
        self.run(stage, place, lane)
        return time.perf_counter_ns() - began_ns
