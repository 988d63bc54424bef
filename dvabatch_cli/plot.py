"""`dvabatch plot`: redraw a report's figures, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvabatch.reporting.figures import draw_all
from dvabatch.reporting.report import read_report
from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next
from dvabatch_cli.options import Json


@app.command(epilog="Example: dvabatch plot results/demo")
def plot(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A results folder, or the report.json in it.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the figures [beside the report].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Redraw the figures of a report from its report.json alone."""
    with one_message():
        document = read_report(report)
        folder = output or (report if report.is_dir() else report.parent)
        folder.mkdir(parents=True, exist_ok=True)
        files = [str(file) for file in draw_all(document, folder)]
        if as_json:
            print_json({"files": files})
        else:
            for file in files:
                out.print(file, markup=False, highlight=False)
        say_next(f"look at {files[0]}" if files else "bench something first: this report has no runs", as_json)
