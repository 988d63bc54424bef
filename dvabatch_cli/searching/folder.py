"""The folder of a search: its probes and what they are of, its document, and where it took place."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvabatch.reporting.canonical import compact, plain, pretty
from dvabatch.reporting.files import write_text
from dvabatch_cli.environment import environment
from dvabatch_cli.errors import CommandError
from dvabatch_cli.marked_folder import MarkedFolder

_FIRST = ("schema_version", "name", "slo", "limits")


@dataclass(frozen=True, slots=True)
class SearchFolder:
    """One search, one folder."""

    path: Path

    @property
    def probes(self) -> Path:
        return self.path / "probes"

    def open(self, facts: Mapping[str, object], *, resume: bool) -> None:
        """Begins a search of which `facts` are true: anew, or where one of just the same facts stopped.

        Raises:
            CommandError: the probes that are there are of something else, or nobody knows of what.
        """
        probes, mark = MarkedFolder(self.probes), compact(facts)
        if resume and not probes.may_go_on(lambda said: said == mark):
            raise CommandError(
                f"{self.path} holds probes of another config, stages, profile, objective or number of seeds; resume with those "
                "that began it, or choose a folder with -o"
            )
        probes.open(mark, resume=resume)

    def write(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Writes search.json, and meta.json with what differs between two searches of the same; returns the former."""
        written: dict[str, Any] = plain(document)
        write_text(self.path / "search.json", pretty(written, first=_FIRST))
        meta = {
            "created_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join(["dvabatch", *sys.argv[1:]]),
            "environment": environment(),
        }
        write_text(self.path / "meta.json", pretty(meta))
        return written
