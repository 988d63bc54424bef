"""The command line: one file a subcommand, put together here."""

from __future__ import annotations

from typing import Annotated

import typer

from dvabatch import __version__

app = typer.Typer(
    name="dvabatch",
    help="Slice an ONNX model into stages, build them, and measure what multi-entry multi-exit batching gains.",
    epilog="Start with: dvabatch bench demo.json",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dvabatch {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of every subcommand."""
