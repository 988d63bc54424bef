"""`dvabatch profile`: measure what stages, concurrency, launches, boundaries and copies cost on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dvabatch.batching.costs import Costs
from dvabatch.batching.profile import Profile
from dvabatch.reporting.profile_figures import draw_profiles
from dvabatch.runtime.device_launcher import ROOM_FOR_GRAPHS
from dvabatch_cli.app import app
from dvabatch_cli.build import check_backend, check_plain, check_small, lengths_of
from dvabatch_cli.config import config_of
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.facts import profile_facts
from dvabatch_cli.gpu import backend_of, prepare_on, profile_on
from dvabatch_cli.ground import Ground
from dvabatch_cli.options import Backend, Json, Level, NoCudaGraph, Precision, SmallBatch, Stages, Threads, Workspace
from dvabatch_cli.wiring import limits_of, payloads_of
from dvabatch_cli.workspace import MeasuredProfile, Prepared, write_json
from engines.tensorrt.options import TensorRTOptions
from slicer import check_stages


@app.command(epilog="Example: dvabatch profile resnet_152.stages --max-batch 16")
def profile(
    folder: Stages,
    max_batch: Annotated[int, typer.Option(min=1, help="Largest batch to measure.")] = 32,
    executors: Annotated[int, typer.Option("--executors-per-stage", min=1, help="Launches of a stage at once.")] = 4,
    lengths: Annotated[
        str | None, typer.Option("--lengths", help="Sequence lengths to measure, e.g. 32,64,128.")
    ] = None,
    backend: Backend = "auto",
    threads: Threads = 0,
    precision: Precision = "fp32",
    level: Level = 3,
    small_batch: SmallBatch = 0,
    workspace_mib: Workspace = None,
    no_cuda_graph: NoCudaGraph = False,
    again: Annotated[bool, typer.Option("--again", help="Measure anew even if it has been measured.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Also write the latency table to this file.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE_OR_DIR",
            help="Also draw what each stage favours, and the slicing tax, as SVG and PNG, in this folder or by this name.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repetitions.")] = False,
    as_json: Json = False,
) -> None:
    """Measure a folder of stages: the latency table that policies and the simulator use."""
    with one_message():
        check_backend(backend)
        say = speaker(as_json)
        workspace_bytes = None if workspace_mib is None else workspace_mib << 20
        check_small(small_batch, max_batch)
        options = TensorRTOptions(
            precision, max_batch, lengths_of(lengths), level, workspace_bytes, small_batch=small_batch
        )
        graphs = 0 if no_cuda_graph else ROOM_FOR_GRAPHS
        chosen = backend_of(backend, say)
        if chosen != "tensorrt":
            check_plain(options)
        if no_cuda_graph and chosen != "tensorrt":
            raise CommandError(
                f"--no-cuda-graph came, for which the backend tensorrt is needed; leave it out on {chosen}"
            )
        prepared = prepare_on(chosen, check_stages(folder), options, threads=threads, graphs=graphs, say=say)
        config = config_of(
            {
                "name": "profile",
                "model": {"onnx": str((folder / prepared.manifest.model_file).resolve())},
                "inputs": {tensor.name: {"high": 2} for tensor in prepared.manifest.inputs if "int" in tensor.dtype},
                "slicing": {"stages": len(prepared.manifest.stages)},
                "engine": {"max_batch": max_batch, "executors_per_stage": executors, "threads": threads},
                "policies": [
                    {
                        "scheduler_type": "NORMAL",
                        **({"preferred_seq_len": list(lengths_of(lengths))} if lengths else {}),
                    }
                ],
                "load": {
                    "utilization": 0.5,
                    **({"lengths": {"distribution": "constant", "value": max(lengths_of(lengths))}} if lengths else {}),
                },
            },
            source="dvabatch profile",
        )
        pool = payloads_of(config, prepared.manifest.inputs)
        limits = limits_of(config, len(prepared.manifest.stages))
        measured = profile_on(prepared, limits, pool, say, again=again, quick=quick)
        document = {**measured.profile.to_table(), "slicing_tax": dict(measured.slicing_tax)}
        if output is not None:
            write_json(output, document)
        if plot is not None:
            _draw(prepared, measured, plot, say)
        if as_json:
            print_json(document)
        else:
            _show(measured)
        say_next("dvabatch bench CONFIG, or dvabatch simulate CONFIG with engine.table set to a table (-o)", as_json)


def _draw(prepared: Prepared, measured: MeasuredProfile, place: Path, say: Callable[[str], None]) -> None:
    profile, name = measured.profile, prepared.manifest.name
    facts = profile_facts(Ground(profile, measured.slicing_tax, prepared, profile.capacity_rps(profile.max_batch)))
    for file in draw_profiles({name: facts}, place, f"{name} · {profile.stages} stages · {profile.source}"):
        say(f"drew {file}")


def _show(measured: MeasuredProfile) -> None:
    profile = measured.profile
    for lane, length in enumerate(profile.lanes):
        out.print(_table(profile, lane, "" if length is None else f", length {length}", measured.slicing_tax))
    costs = profile.costs
    out.print(
        f"launch {costs.launch_ns / 1e3:.0f} µs, boundary {costs.boundary_ns / 1e3:.0f} µs, "
        f"copy {costs.copy_ns_per_row / 1e3:.1f} µs a row, {_bounce(costs)}"
        f"capacity {profile.capacity_rps(profile.max_batch):.4g} queries/s"
        f"{'' if measured.fresh else ' (measured before; --again measures anew)'}",
        highlight=False,
    )


def _bounce(costs: Costs) -> str:
    if not (costs.bounce_ns or costs.bounce_ns_per_row):
        return ""
    return f"bounce {costs.bounce_ns / 1e3:.0f} µs and {costs.bounce_ns_per_row / 1e3:.1f} µs a row, "


def _table(profile: Profile, lane: int, title: str, tax: Any) -> Table:
    table = Table(title=escape(f"{profile.name}{title}: milliseconds"))
    sizes = [int(size) for size, _ in profile.curves[lane][0].latency_ms.points]
    table.add_column("batch", justify="right")
    for stage in range(profile.stages):
        table.add_column(f"stage {stage}", justify="right")
    for heading in ("stages", "whole", "tax", "share"):
        table.add_column(heading, justify="right")
    for size in sizes:
        times = [profile.stage_ns(stage, size, lane) / 1e6 for stage in range(profile.stages)]
        table.add_row(
            str(size),
            *(f"{time:.2f}" for time in times),
            f"{sum(times):.2f}",
            f"{profile.whole_ns(size, lane) / 1e6:.2f}",
            f"{tax[str(size)]:.3f}" if str(size) in tax else "n/a",
            f"{profile.share(0, size, lane):.2f}",
        )
    return table
