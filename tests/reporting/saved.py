"""Results folders with raw records, made in milliseconds: what comparisons read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dvabatch.reporting.comparison import run_key
from dvabatch.reporting.measured import Measured, Queries
from dvabatch.reporting.points import save_point
from dvabatch.reporting.report import assemble, write_report
from dvabatch.reporting.summary import summarise

MakeMeasured = Callable[..., Measured]


def noisy(measured: Measured, seed: int, slower: float = 1.0, spread: float = 0.02) -> Measured:
    """The same run on another day: every response a little longer or shorter, and all longer by `slower`."""
    draw = np.random.Generator(np.random.PCG64(seed))
    old = measured.queries
    factors = slower * np.exp(spread * draw.standard_normal(len(old)))
    done = old.arrival_ns + np.maximum(1, ((old.done_ns - old.arrival_ns) * factors)).astype(np.int64)
    queries = Queries(old.arrival_ns, old.arrival_ns, done, old.status, old.late_free, old.length)
    return Measured(**{name: getattr(measured, name) for name in measured.__slots__} | {"queries": queries})


def save(folder: Path, measured: Iterable[Measured], *, records: bool = True, **meta: Any) -> Path:
    """A results folder of these runs."""
    runs = []
    for each in measured:
        runs.append(summarise(each))
        if records:
            save_point(folder, run_key(runs[-1]), runs[-1], each.queries)
    report = assemble(
        name=folder.name, dvabatch_version="0.1.0", config={"name": folder.name, "load": {}}, model=None,
        engine={"backend": "table", "precision": None, "version": "x", "max_batch": 8}, profile=None, correctness=None,
        runs=runs, comparison=[],
    )  # fmt: skip
    write_report(folder, report, {"created_at": "now", "command": "bench", "environment": {}} | meta)
    return folder
