"""`dvabatch slice`: cut an ONNX model into operator-aware stages, and prove that they equal it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.options import Json, Shapes, Threads
from dvabatch_cli.shapes import parse_bind, parse_shapes
from slicer import Manifest, SliceOptions, slice_model
from slicer.options import AUTO, BOUNDARY_US


@app.command(name="slice", epilog="Example: dvabatch slice resnet_152.onnx --stages 4 -o resnet_152.stages")
def slice_(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The ONNX file.")],
    stages: Annotated[
        str | None,
        typer.Option(metavar="NUMBER|auto", help="Into how many stages; auto: as many as pay. [default: 4]"),
    ] = None,
    cut_behind: Annotated[
        list[str] | None,
        typer.Option(metavar="TENSOR", help="Cut behind the operator that makes this tensor. Repeatable."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of the stages [MODEL.stages].")] = None,
    shapes: Shapes = None,
    bind: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="Fix a scalar input. Repeatable.")
    ] = None,
    batch_axis: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=AXIS", help="Where an input or output has its batch, if not in front. Repeatable."),
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Largest batch to time and to compare.")] = 8,
    boundary_us: Annotated[
        float, typer.Option(min=0, help="For auto: microseconds of the host from a stage's end to the next launch.")
    ] = BOUNDARY_US,
    threads: Threads = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample inputs.")] = 0,
    verify: Annotated[bool, typer.Option(help="Prove the stages against the whole model.")] = True,
    as_json: Json = False,
) -> None:
    """Cut an ONNX model into stages that batch on their own, and prove that they equal it.

    With --stages auto the number is weighed by what was timed here: what queries save where stages favour other batch sizes,
    against runs, boundaries and bytes carried. It may be 1. With --cut-behind the model is cut where you say.
    """
    with one_message():
        folder = output or Path(f"{model.stem}.stages")
        given, bound = parse_shapes(shapes or ()), parse_bind(bind or ())
        axes, cuts = _axes(batch_axis or ()), tuple(cut_behind or ())
        try:
            options = SliceOptions(
                stages=_number(str(len(cuts) + 1 if cuts else 4) if stages is None else stages),
                cut_behind=cuts,
                shapes=given,
                bind=bound,
                batch_axes=axes,
                max_batch=max_batch,
                boundary_us=boundary_us,
                threads=threads,
                seed=seed,
                verify=verify,
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        manifest = slice_model(model, folder, options, progress=speaker(as_json))
        if as_json:
            print_json({"folder": str(folder), "stages": _rows(manifest)})
        else:
            out.print(_table(manifest))
        say_next(f"dvabatch build {folder}", as_json)


def _number(text: str) -> int | Literal["auto"]:
    if text == AUTO:
        return AUTO
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise CommandError(f"--stages {text!r} is no number of stages; wanted 1 or more, or {AUTO}")
    return int(text)


def _axes(texts: Iterable[str]) -> dict[str, int]:
    """`state=1` as axes by tensor name."""
    axes: dict[str, int] = {}
    for text in texts:
        name, _, axis = text.rpartition("=")
        if not name or not (axis.isascii() and axis.isdigit()):
            raise CommandError(f"--batch-axis {text!r} is no axis; wanted NAME=AXIS, for example state=1")
        axes[name] = int(axis)
    return axes


def _rows(manifest: Manifest) -> list[dict[str, object]]:
    return [
        {
            "stage": stage.index,
            "file": stage.file,
            "nodes": stage.nodes,
            "parameters": stage.parameters,
            "crossing_bytes_per_row": stage.crossing_bytes_per_row,
            "latency_ms": stage.latency_ms,
            "favored_batch": stage.favored_batch,
        }
        for stage in manifest.stages
    ]


def _table(manifest: Manifest) -> Table:
    table = Table(
        title=escape(f"{manifest.name}: {len(manifest.stages)} stage{'s' if len(manifest.stages) > 1 else ''}")
    )
    most = max(max(stage.latency_ms) for stage in manifest.stages)
    for heading in (
        "stage",
        "nodes",
        "parameters",
        "kB across a row",
        "ms at batch 1",
        f"ms at batch {most}",
        "favours",
    ):
        table.add_column(heading, justify="right")
    for stage in manifest.stages:
        table.add_row(
            str(stage.index),
            str(stage.nodes),
            f"{stage.parameters:,}",
            f"{stage.crossing_bytes_per_row / 1e3:,.1f}",
            f"{stage.latency_ms[1]:.2f}",
            f"{stage.latency_ms[most]:.2f}" if most in stage.latency_ms else "n/a",
            str(stage.favored_batch),
        )
    return table
