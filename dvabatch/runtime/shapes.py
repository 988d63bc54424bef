"""What the rows of every tensor look like in every lane, and which tensors are alive at which boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from engines.base import Array, StageEngine, TensorSpec
from engines.device import Module
from engines.errors import EngineError

_T = TypeVar("_T")


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


def lay_out(stages: Sequence[StageEngine], examples: Sequence[Mapping[str, Array]], outputs: Sequence[str]) -> Layout:
    """The layout of open stages, learnt by running each lane's example (a batch of 1) through them.

    Running is the only way that is right for every model: a dimension may depend on another in ways no name tells.

    Raises:
        EngineError: a stage reads what nobody writes, or does not run on its example.
    """
    chain = _Chain([stage.inputs for stage in stages], [stage.outputs for stage in stages])
    rows: list[dict[str, RowSpec]] = []
    for example in examples:
        values: dict[str, Array] = dict(example)
        for index, stage in enumerate(stages):
            values.update(stage.infer(chain.read(index, values)))
        rows.append({name: RowSpec(value.dtype, value.shape[1:]) for name, value in values.items()})
    return chain.layout(rows, tuple(examples[0]), outputs)


def lay_out_modules(
    modules: Sequence[Module], examples: Sequence[Mapping[str, Array]], outputs: Sequence[str]
) -> Layout:
    """The layout of stages on a device, which know their shapes without running.

    Raises:
        EngineError: a stage reads what nobody writes, or does not take its example.
    """
    chain = _Chain([module.inputs for module in modules], [module.outputs for module in modules])
    rows: list[dict[str, RowSpec]] = []
    for example in examples:
        known = {name: RowSpec(value.dtype, value.shape[1:]) for name, value in example.items()}
        for index, module in enumerate(modules):
            read = chain.read(index, known)
            found = module.infer_shapes({name: (1, *spec.shape) for name, spec in read.items()})
            for name, (dtype, shape) in found.items():
                spec = RowSpec(np.dtype(dtype), tuple(shape[1:]))
                if name in known and not _fits(known[name], spec, given=name in example):
                    raise EngineError(f"stage {index} takes {name!r} as {spec}, which comes as {known[name]}")
                known[name] = spec
        rows.append(known)
    return chain.layout(rows, tuple(examples[0]), outputs)


def _fits(known: RowSpec, wanted: RowSpec, *, given: bool) -> bool:
    """Whether a stage's rows are those there are. Whole numbers that come from the host may be narrower on the device."""
    narrower = given and known.dtype.kind == wanted.dtype.kind == "i"
    return known.shape == wanted.shape and (known.dtype == wanted.dtype or narrower)


class _Chain:
    """Which tensors stages pass on to each other."""

    def __init__(self, inputs: Sequence[Sequence[TensorSpec]], outputs: Sequence[Sequence[TensorSpec]]) -> None:
        self._reads = tuple(tuple(tensor.name for tensor in stage) for stage in inputs)
        self._writes = tuple(tuple(tensor.name for tensor in stage) for stage in outputs)

    def read(self, stage: int, values: Mapping[str, _T]) -> dict[str, _T]:
        """What a stage reads of what is known."""
        missing = [name for name in self._reads[stage] if name not in values]
        if missing:
            raise EngineError(
                f"stage {stage} reads {missing}, which neither the model's inputs nor a stage before it hold"
            )
        return {name: values[name] for name in self._reads[stage]}

    def layout(self, rows: Sequence[Mapping[str, RowSpec]], inputs: tuple[str, ...], outputs: Sequence[str]) -> Layout:
        missing = [name for name in outputs if name not in rows[0]]
        if missing:
            raise EngineError(f"no stage writes the model's outputs {missing}")
        alive = []
        for stage in range(len(self._reads)):
            written = set(inputs).union(*self._writes[:stage])
            needed = set(outputs).union(*self._reads[stage:])
            alive.append(tuple(sorted(written & needed)))
        return Layout(tuple(rows), self._reads, self._writes, inputs, tuple(outputs), tuple(alive))
