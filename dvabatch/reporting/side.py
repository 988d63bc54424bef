"""One side of a comparison: a saved report, or the points of a run that came to no report, and the records beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .comparison import run_key
from .errors import ReportError
from .measured import IntArray, Status
from .points import load_points, load_queries
from .report import check_runs, read_report
from .series import Run


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Runs of one report; `points` are the keys whose raw records lie in `folder` and are of the very runs reported."""

    path: Path
    folder: Path
    report: Mapping[str, Any]
    points: frozenset[str]

    @property
    def runs(self) -> list[Run]:
        return list(self.report["runs"])

    def has_records(self, run: Run) -> bool:
        return run_key(run) in self.points

    def record_bytes(self, run: Run) -> int:
        """How much there is to read for a run."""
        file = self.folder / "points" / f"{run_key(run)}.queries.jsonl"
        return file.stat().st_size if self.has_records(run) else 0

    def responses(self, run: Run) -> IntArray | None:
        """int64[n]: the response of each offered query in ns, -1 where it did not complete; None without records.

        Raises:
            ReportError: the records are damaged, or tell of other queries than the report.
        """
        if not self.has_records(run):
            return None
        queries = load_queries(self.folder, run_key(run))
        offered, completed = len(queries), int(np.count_nonzero(queries.status == Status.COMPLETED))
        if (offered, completed) != (run["counts"]["offered"], run["counts"]["completed"]):
            raise ReportError(
                f"the records of {run_key(run)} in {self.folder} have {offered} queries, {completed} completed; the report says"
                f" {run['counts']['offered']} and {run['counts']['completed']}: measure that point again"
            )
        return queries.response_by_id_ns()


def open_side(path: Path) -> Side:
    """A results folder, or the report.json in one; a folder with points and no report will do.

    Raises:
        ReportError: it is missing, damaged or huge.
    """
    folder = path if path.is_dir() else path.parent
    whole = load_points(folder)
    if path.is_dir() and not (path / "report.json").exists() and whole:
        runs = list(whole.values())
        check_runs(runs, f"{path}/points")
        return Side(path, folder, {"name": path.name, "runs": runs}, frozenset(whole))
    report = read_report(path)
    try:
        same = {run_key(run) for run in report["runs"] if _is_of(run, whole.get(run_key(run)))}
    except RecursionError as error:
        raise ReportError(f"{path} nests values without end: it is damaged; write it anew") from error
    return Side(path, folder, report, frozenset(same))


def _is_of(run: Run, point: Mapping[str, Any] | None) -> bool:
    """Whether a point on the disk is the measurement that the report tells of, and not a later one of the same name."""
    return point is not None and all(point.get(key) == run[key] for key in ("counts", "response_ms"))
