"""What a caller may ask of the slicer."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

AUTO: Final = "auto"
BOUNDARY_US = 50.0  # a guess for drivers with threads; `dvabatch profile` measures it


@dataclass(frozen=True, slots=True)
class SliceOptions:
    """How to slice one model.

    `stages` "auto" takes the number that pays (see `payoff`), where the host needs `boundary_us` from a stage's end to the
    next launch; it matters for nothing else. `cut_behind` names the tensors behind which the model is cut, one fewer than
    stages; without any, cuts are chosen by what was timed.

    `shapes` binds the free dimensions of the inputs that it names (batch written as 1); inputs it leaves out
    keep theirs free. `bind` turns scalar arguments into constants. `batch_axes` says on which axis an input or output
    has its batch where the file does not tell; stages have it in front. `threads` 0 means every core this process may
    use.
    """

    stages: int | Literal["auto"]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bind: Mapping[str, float | int] = field(default_factory=dict)
    max_batch: int = 8
    threads: int = 0
    seed: int = 0
    verify: bool = True
    batch_axes: Mapping[str, int] = field(default_factory=dict)
    boundary_us: float = BOUNDARY_US
    cut_behind: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.stages != AUTO and (type(self.stages) is not int or self.stages < 1):
            raise ValueError(f"stages is {self.stages}, wanted at least 1 or {AUTO}: ask for --stages 4, say")
        if isinstance(self.cut_behind, str):
            raise ValueError(f"cut_behind is {self.cut_behind!r}, wanted a list of tensor names")
        if self.cut_behind and self.stages != len(self.cut_behind) + 1:
            raise ValueError(
                f"cut_behind names {len(self.cut_behind)} cuts and stages is {self.stages}, "
                f"wanted {len(self.cut_behind) + 1}: ask for as many, or leave one of the two out"
            )
        if not 0 <= self.boundary_us < math.inf:
            raise ValueError(f"boundary_us is {self.boundary_us}, wanted microseconds of 0 or more")
        if self.max_batch < 1:
            raise ValueError(f"max_batch is {self.max_batch}, wanted at least 1")
        if self.threads < 0:
            raise ValueError(f"threads is {self.threads}, wanted 0 (all cores) or more")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, wanted 0 or more")
        for name, axis in self.batch_axes.items():
            if axis < 0:
                raise ValueError(f"batch_axes[{name!r}] is {axis}, wanted 0 or more")
        for name, shape in self.shapes.items():
            if not shape or any(size < 1 for size in shape):
                raise ValueError(f"shapes[{name!r}] is {shape}, wanted positive sizes such as 1x3x320x320")
            if shape[0] != 1:
                raise ValueError(
                    f"shapes[{name!r}] has {shape[0]} in front, wanted 1: the batch stays free, so write it as 1"
                )


def usable_threads(threads: int) -> int:
    """`threads`, or the number of cores this process may run on where it is 0."""
    if threads:
        return threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
