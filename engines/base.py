"""The contract between a stage and whatever runs it.

A `StageEngine` is cheap to make; `with engine:` acquires sessions or device state and releases them. `run` works in place
on rows that belong to the caller, so that batches may grow, shrink and move between stages without a copy. Several threads
may call `run` at once: one for each executor of the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from slicer.manifest import TensorSpec

__all__ = ["Array", "StageEngine", "TensorSpec"]

Array: TypeAlias = NDArray[np.generic]


class StageEngine(Protocol):
    """One stage, ready to run at any batch size from 1 to `max_batch`."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the stage reads, by tensor name; axis 0 is the batch."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What the stage writes, by tensor name; axis 0 is the batch."""

    @property
    def max_batch(self) -> int: ...

    @property
    def one_core(self) -> bool:
        """Whether a run computes on the thread that calls it, and on no other."""

    @property
    def precision(self) -> str: ...

    @property
    def version(self) -> str:
        """The library and its version."""

    @property
    def key(self) -> str:
        """Names everything that made the engine: stage digest, options, library and device."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Reads `inputs` and fills `outputs`: C-contiguous rows `[batch, ...]` of the declared types.

        Raises:
            EngineError: the stage did not run; `outputs` hold nothing of use.
        """

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Callable[[], None]:
        """`run` on these rows, prepared: each call reads and fills them anew. They must outlive it.

        Raises:
            EngineError: the rows do not fit; the call itself raises it where the stage did not run.
        """

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The same into fresh arrays, for shapes and for comparison.

        Raises:
            EngineError: the stage did not run.
        """
