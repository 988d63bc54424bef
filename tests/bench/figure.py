"""A figure with its target, and the scale at which benchmarks run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `met` is None where there is no target to meet."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    sense: Literal["<=", ">="] = "<="
    detail: str = ""

    @property
    def met(self) -> bool | None:
        if self.limit is None:
            return None
        return self.value <= self.limit if self.sense == "<=" else self.value >= self.limit

    @property
    def line(self) -> str:
        """One line for people: figure, target, verdict, and what it was measured on."""
        told = f"{self.name:<46} {_plain(self.value):>9} {self.unit:<10}"
        if self.limit is not None:
            target = f"target {self.sense} {_plain(self.limit)}"
            told += f" {target:<18} {'met' if self.met else 'NOT MET':<8}"
        return f"{told} {self.detail}".rstrip()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": None if self.limit is None else f"{self.sense} {self.limit:g}",
            "met": self.met,
            "detail": self.detail,
        }


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure. `fast` shows that a benchmark runs, its figures are rough; `full` goes to larger batches."""

    fast: bool = False
    full: bool = False
    say: Callable[[str], None] = field(default=lambda _: None, compare=False)

    def pick(self, usual: int, fast: int) -> int:
        return fast if self.fast else usual


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A name for `--only`, what it is about, and what runs it: each figure comes as soon as it is known."""

    name: str
    about: str
    run: Callable[[Scale], Iterator[Figure]]
