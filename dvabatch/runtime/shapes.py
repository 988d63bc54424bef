"""What the rows of every tensor look like in every lane, and which tensors are alive at which boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engines.base import Array, StageEngine
from engines.errors import EngineError


@dataclass(frozen=True, slots=True)
class RowSpec:
    """One row of a tensor: its type and shape without the batch axis."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        size = self.dtype.itemsize
        for dim in self.shape:
            size *= dim
        return size


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of a chain of stages.

    `rows[lane][name]` is a tensor's row; `alive[s]` names what stages from s on still read, and what has been answered
    already: everything that has to move when rows move at boundary s.
    """

    rows: tuple[Mapping[str, RowSpec], ...]
    reads: tuple[tuple[str, ...], ...]
    writes: tuple[tuple[str, ...], ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    alive: tuple[tuple[str, ...], ...]

    def bytes_across(self, stage: int, lane: int) -> int:
        """Bytes per row that are alive at the boundary before this stage."""
        return sum(self.rows[lane][name].bytes for name in self.alive[stage])


def lay_out(stages: Sequence[StageEngine], examples: Sequence[Mapping[str, Array]], outputs: Sequence[str]) -> Layout:
    """The layout of open stages, learnt by running each lane's example (a batch of 1) through them.

    Running is the only way that is right for every model: a dimension may depend on another in ways no name tells.

    Raises:
        EngineError: a stage reads what nobody writes, or does not run on its example.
    """
    reads = tuple(tuple(tensor.name for tensor in stage.inputs) for stage in stages)
    writes = tuple(tuple(tensor.name for tensor in stage.outputs) for stage in stages)
    inputs = tuple(examples[0])
    rows: list[dict[str, RowSpec]] = []
    for example in examples:
        values: dict[str, Array] = dict(example)
        for index, stage in enumerate(stages):
            missing = [name for name in reads[index] if name not in values]
            if missing:
                raise EngineError(
                    f"stage {index} reads {missing}, which neither the model's inputs nor a stage before it hold"
                )
            values.update(stage.infer({name: values[name] for name in reads[index]}))
        rows.append({name: RowSpec(value.dtype, value.shape[1:]) for name, value in values.items()})
    missing = [name for name in outputs if name not in rows[0]]
    if missing:
        raise EngineError(f"no stage writes the model's outputs {missing}")
    alive = []
    for stage_index in range(len(stages)):
        written = set(inputs).union(*writes[:stage_index])
        needed = set(outputs).union(*reads[stage_index:])
        alive.append(tuple(sorted(written & needed)))
    return Layout(tuple(rows), reads, writes, inputs, tuple(outputs), tuple(alive))
