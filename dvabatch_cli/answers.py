"""Proof: a query's answer equals the whole model run on that query alone, whatever the batch went through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dvabatch.runtime.padding import cut_answer
from engines.base import Array


class Reference(Protocol):
    """Where right answers come from."""

    def answer(self, query_id: int, length: int | None) -> Mapping[str, Array]:
        """The right answer to one query, row by row as the runtime gives it."""


class WholeModel:
    """The model's own file, run on one query at a time. Answers are kept: payloads come from a pool and repeat."""

    def __init__(
        self,
        infer: Callable[[Mapping[str, Array]], Mapping[str, Array]],
        row: Callable[[int, int | None], Mapping[str, Array]],
        pool_rows: int,
    ) -> None:
        self._infer = infer
        self._row = row
        self._pool_rows = pool_rows
        self._known: dict[tuple[int, int | None], dict[str, Array]] = {}

    def answer(self, query_id: int, length: int | None) -> Mapping[str, Array]:
        key = query_id % self._pool_rows, length
        if key not in self._known:
            inputs = {name: np.ascontiguousarray(value)[None] for name, value in self._row(query_id, length).items()}
            self._known[key] = {name: np.asarray(value)[0] for name, value in self._infer(inputs).items()}
        return self._known[key]


class TableReference:
    """What a latency table's rows must say: this query, through every stage once."""

    def __init__(self, stages: int) -> None:
        self._stages = stages

    def answer(self, query_id: int, length: int | None) -> Mapping[str, Array]:
        row = np.array([query_id, self._stages])
        return {"answer": row if length is None else np.tile(row, (length, 1))}


@dataclass(slots=True)
class Tally:
    """What checking has found so far. Errors are of the largest |reference| of the answer; a NaN counts as infinite."""

    tolerance: float
    checked: int = 0
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    wrong: list[int] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.wrong

    def check(
        self,
        answers: Mapping[int, Mapping[str, Array]],
        reference: Reference,
        length_of: Callable[[int], int | None],
        free_axes: Mapping[str, tuple[int, ...]],
    ) -> list[int]:
        """Compares each answer with the reference; answers with the queries that were wrong."""
        wrong = []
        for query_id, answer in sorted(answers.items()):
            length = length_of(query_id)
            absolute, relative = 0.0, 0.0
            for name, right in reference.answer(query_id, length).items():
                off, of_largest = difference(cut_answer(answer[name], free_axes.get(name, ()), length), right)
                absolute, relative = max(absolute, off), max(relative, of_largest)
            self.checked += 1
            self.max_abs_error = max(self.max_abs_error, absolute)
            self.max_rel_error = max(self.max_rel_error, relative)
            if relative > self.tolerance:
                wrong.append(query_id)
        self.wrong += wrong
        return wrong

    def to_json(self) -> dict[str, Any]:
        """The report's `correctness`."""
        return {
            "checked": self.checked,
            "max_abs_error": self.max_abs_error,
            "max_rel_error": self.max_rel_error,
            "tolerance": self.tolerance,
            "passed": self.passed,
        }


_INFINITE = 1e308  # JSON knows no infinity


def difference(got: Array, right: Array) -> tuple[float, float]:
    """The largest difference, and that over the largest |right|. What is not finite, or of another shape, is all wrong.

    Whole numbers are equal or wrong: a token beside the right one is near it by value only.
    """
    if got.shape != right.shape or not np.isfinite(got).all() or not np.isfinite(right).all():
        return _INFINITE, _INFINITE
    if got.size == 0:
        return 0.0, 0.0
    off = float(np.abs(got.astype(np.float64) - right.astype(np.float64)).max())
    largest = float(np.abs(right.astype(np.float64)).max())
    if off == 0.0:
        return 0.0, 0.0
    return off, off / largest if largest > 0 and right.dtype.kind == "f" else _INFINITE
