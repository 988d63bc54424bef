"""A folder whose files all have one origin, told by a mark in it: whoever goes on takes its own files, and no others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dvabatch.reporting.files import write_text

_MAX_BYTES = 16 << 20  # a config has 1 MiB at the most: what is longer is no mark of ours, and fits none


@dataclass(frozen=True, slots=True)
class MarkedFolder:
    """Points or probes, and what they are of. Who uses it holds the lock of the results folder around it."""

    path: Path

    @property
    def mark(self) -> Path:
        return self.path / ".config.json"

    def said(self) -> str:
        """What the mark says; empty where there is none."""
        if not self.mark.is_file():
            return ""
        with self.mark.open("rb") as file:
            return file.read(_MAX_BYTES).decode(errors="replace")

    def may_go_on(self, fits: Callable[[str], bool]) -> bool:
        """Whether what is there may be kept: its mark `fits`, or it is empty. What files without a mark are of nobody knows."""
        said = self.said()
        return fits(said) or (not said and not any(self.path.glob("[!.]*")))

    def open(self, mark: str, *, resume: bool) -> None:
        """Marks it. A fresh run lays older files aside first: all of them in one step, or what a run that is killed
        meanwhile leaves could be taken for its own."""
        aside = self.path.with_name(f".{self.path.name}.old")
        if aside.exists():
            shutil.rmtree(aside)
        if not resume and self.path.exists():
            self.path.rename(aside)
            shutil.rmtree(aside)
        write_text(self.mark, mark)
