"""How engines are built."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["fp32", "tf32", "fp16"]
Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The shapes of one input that an engine takes: the smallest, the one it is made for, and the largest."""

    least: Shape
    best: Shape
    most: Shape

    def __post_init__(self) -> None:
        if not len(self.least) == len(self.best) == len(self.most) > 0:
            raise ValueError(f"shapes {self.least}, {self.best} and {self.most} came, wanted three of one rank")
        for low, middle, high in zip(self.least, self.best, self.most, strict=True):
            if not 1 <= low <= middle <= high:
                raise ValueError(f"shapes {self.least}, {self.best}, {self.most} came, wanted 1 <= min <= opt <= max")


@dataclass(frozen=True, slots=True)
class TensorRTOptions:
    """What all engines of a model have in common.

    `level` is the builder's optimisation level, 0 to 5; `workspace_bytes` bounds what a tactic may use, None leaves it to
    TensorRT. `ranges` replaces the shapes of inputs by name, as trtexec's --min-shapes, --opt-shapes and --max-shapes do.
    Batches of up to `small_batch` rows run on kernels chosen for them: those that are best for many rows take one row a quarter
    longer than it needs (ResNet-152 on an H200). 0: the same kernels for all.
    """

    precision: Precision = "fp32"
    max_batch: int = 32
    lengths: tuple[int, ...] = ()
    level: int = 3
    workspace_bytes: int | None = None
    ranges: dict[str, Range] = field(default_factory=dict)
    timing_cache: Path | None = None  # None: beside the engines
    small_batch: int = 0

    def __post_init__(self) -> None:
        if self.precision not in {"fp32", "tf32", "fp16"}:
            raise ValueError(f"precision is {self.precision!r}; wanted fp32, tf32 or fp16")
        if self.max_batch < 1:
            raise ValueError(f"max_batch is {self.max_batch}; wanted 1 or more")
        if not 0 <= self.level <= 5:
            raise ValueError(f"the builder's optimisation level is {self.level}; wanted 0 to 5")
        if self.workspace_bytes is not None and self.workspace_bytes < 1:
            raise ValueError(f"workspace is {self.workspace_bytes} bytes; wanted 1 or more")
        if not 0 <= self.small_batch < self.max_batch:
            raise ValueError(f"small_batch is {self.small_batch}; wanted 0, or less than max_batch, {self.max_batch}")
        if self.small_batch and self.ranges:
            raise ValueError("small_batch and shapes of single inputs came; wanted one of them")
