"""Figures as files: one style whatever the user's own is, SVG and PNG, the same bytes from the same numbers."""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from .figure_parts import STYLE
from .files import atomic
from .series import is_simulated

_FORMATS: Final[Mapping[str, Mapping[str, str | None]]] = {
    ".svg": {"Date": None, "Creator": "dvabatch"},
    ".png": {"Software": "dvabatch"},
}
_CHARACTERS_AN_INCH: Final = 16.5  # of the note's type, with some room
QUICK_NOTE: Final = "QUICK: made small to see that it runs; not the figure that a claim rests on"


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """The style of our figures; what matplotlib was set to before holds again afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's matplotlibrc says
        mpl.rcParams.update(STYLE)
        yield


def save(figure: Figure, folder: Path, name: str, note: str) -> list[Path]:
    """Writes a figure with the note below it, as SVG and PNG; returns the files. To be called while `drawing`."""
    characters = int(_CHARACTERS_AN_INCH * float(figure.get_figwidth()))
    note = "\n".join(textwrap.fill(line, characters, subsequent_indent="   ") for line in note.splitlines())
    figure.supxlabel(note, fontsize=7.5, color="#666666", x=0.01, ha="left", multialignment="left")
    written = []
    for suffix, metadata in _FORMATS.items():
        path = folder / f"{name}{suffix}"
        with atomic(path) as file:
            figure.savefig(file, format=suffix[1:], metadata=dict(metadata))
        figure.set_layout_engine("none")  # the second file keeps the places found for the first
        written.append(path)
    return written


def model_title(report: Mapping[str, Any]) -> str:
    """What was served, for a panel's title; seed and version, which the note has, are left out."""
    model = report.get("model") or {}
    return re.sub(r"-s\d+-v[\w.]+$", "", str(model.get("name") or report["name"]))


def caption(report: Mapping[str, Any]) -> str:
    """What was measured, in a line: experiment, model, backend, precision, queries, seeds."""
    model, engine = report.get("model") or {}, report.get("engine") or {}
    parts = [str(report["name"])]
    if model.get("name") and model["name"] != report["name"]:
        parts.append(str(model["name"]))
    if model.get("stages"):
        parts.append(f"{len(model['stages'])} stages")
    backend = " ".join(str(engine[key]) for key in ("backend", "version", "precision") if engine.get(key))
    if backend:
        parts.append(backend)
    if is_simulated(report):
        parts.append("simulated")
    offered = sorted({run["counts"]["offered"] for run in report["runs"]})
    if offered:
        low, high = offered[0], offered[-1]
        parts.append(f"{low:,} queries a run" if low == high else f"{low:,} to {high:,} queries a run")
    seeds = {run["load"].get("seed") for run in report["runs"]}
    parts.append(f"{len(seeds)} seed{'s' if len(seeds) != 1 else ''}")
    return " · ".join(parts)


def captions(reports: Sequence[Mapping[str, Any]], *, quick: bool) -> str:
    """A line for each report, below a warning where they are of quick runs."""
    return "\n".join([*([QUICK_NOTE] if quick else []), *map(caption, reports)])
