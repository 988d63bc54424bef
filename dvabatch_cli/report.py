"""`dvabatch report`: a report as one page that a person reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from dvabatch.reporting.files import write_text
from dvabatch.reporting.page.page import page_of
from dvabatch.reporting.report import read_report
from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.options import Json

_SUFFIXES = (".html", ".htm")


@app.command(epilog="Example: dvabatch report results/demo -o report.html")
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A results folder, or the report.json in it.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page, an .html file [report.html beside the report].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a report as one self-contained page: tables, figures, validity, environment, config, commands.

    The page needs no network and no script. Nothing is run or measured; it takes some seconds.
    """
    with one_message():
        folder = run if run.is_dir() else run.parent
        page = output or folder / "report.html"
        if page.suffix.lower() not in _SUFFIXES or page.is_dir():
            raise CommandError(f"got -o {page}, wanted a file that ends in .html: name one, as -o report.html")
        document = read_report(run)
        source = folder / "report.json" if run.is_dir() else run
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        text = page_of(document, report_sha256=digest, say=speaker(as_json))
        write_text(page, text)
        if as_json:
            print_json({"file": str(page), "bytes": len(text.encode()), "report_sha256": digest})
        else:
            out.print(str(page), markup=False, highlight=False)
        say_next(f"open {page} in a browser", as_json)
