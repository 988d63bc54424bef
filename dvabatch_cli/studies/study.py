"""What a figure is: a claim, the runs that it rests on, and how it is drawn from their reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from dvabatch_cli.config.document import Document, read_document
from dvabatch_cli.config.find import find_config
from dvabatch_cli.overrides import apply_overrides

Reports = Mapping[str, Mapping[str, Any]]  # by the name of the run


@dataclass(frozen=True, slots=True)
class Run:
    """One config, run in one way; its results lie in a folder of its name, and its quick form's in `NAME_quick`.

    `quick` and `full` are what is set over the config for either form, as `--set` would. With `package`, paths in the
    config count from where that Python package is installed.
    """

    name: str
    config: str
    simulated: bool
    trace: bool = False
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    package: str | None = None

    def folder_name(self, quick: bool) -> str:
        """Where its results lie, in the folder of all results."""
        return f"{self.name}_quick" if quick else self.name

    def document(self, quick: bool) -> Document:
        """Its config with all that is set over it."""
        overrides = (*(self.quick if quick else self.full), f"name={self.folder_name(quick)}")
        return apply_overrides(read_document(find_config(self.config)), overrides)


@dataclass(frozen=True, slots=True)
class Study:
    """One figure. `draw` and `metrics` see the reports of its runs and nothing else."""

    name: str
    claim: str
    runs: tuple[Run, ...]
    draw: Callable[[Reports], Figure | None]
    metrics: Callable[[Reports], dict[str, float]]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"the figure {self.name} rests on no run, wanted at least one")
