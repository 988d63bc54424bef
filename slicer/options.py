"""What a caller may ask of the slicer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SliceOptions:
    """How to slice one model.

    `shapes` binds the free dimensions of the inputs that it names (batch written as 1); inputs it leaves out
    keep theirs free. `bind` turns scalar arguments into constants. `batch_axes` says on which axis an input or output
    has its batch where the file does not tell; stages have it in front. `threads` 0 means every core this process may
    use.
    """

    stages: int
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bind: Mapping[str, float | int] = field(default_factory=dict)
    max_batch: int = 8
    threads: int = 0
    seed: int = 0
    verify: bool = True
    batch_axes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.stages < 1:
            raise ValueError(f"stages is {self.stages}, wanted at least 1: ask for --stages 4, say")
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
