"""Options that several subcommands share, each spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Set a value of the config, e.g. load.request_rate=200. Repeatable."
    ),
]
Results = Annotated[Path | None, typer.Option("-o", "--output", help="Folder of results [results/<name>].")]
Resume = Annotated[bool, typer.Option("--resume", help="Keep the points measured before and measure the rest.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done and how long it takes; measure nothing.")
]
Quick = Annotated[
    bool, typer.Option("--quick", help="The same experiment made small: first and last load, seconds a point.")
]
Backend = Annotated[str, typer.Option("--backend", help="auto, onnxruntime or tensorrt.")]
Precision = Annotated[
    Literal["fp32", "tf32", "fp16"], typer.Option("--precision", help="Arithmetic of the engines (tensorrt).")
]
Level = Annotated[
    int, typer.Option("--builder-optimization-level", min=0, max=5, help="How hard TensorRT looks for fast kernels.")
]
SmallBatch = Annotated[
    int,
    typer.Option(
        "--small-batch",
        min=0,
        help="Batches of up to so many rows run on kernels chosen for them (tensorrt); 0: the same kernels for all.",
    ),
]
Workspace = Annotated[
    int | None, typer.Option("--workspace", min=1, help="MiB that a kernel may use while it runs (tensorrt).")
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="Threads inside an operator; 0 takes all cores.")]
Stages = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of stages that `dvabatch slice` made.")]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shapes",
        metavar="NAME:DxDx...",
        help="Bind an input's free dimensions, batch first: x:1x3x320x320. Repeatable, or comma-separated.",
    ),
]
NoCudaGraph = Annotated[
    bool, typer.Option("--no-cuda-graph", help="Launch stages kernel by kernel, for comparison (tensorrt).")
]
Trace = Annotated[bool, typer.Option("--trace", help="Record every decision of each point in traces/ of the results.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A results folder with traces, or a trace in its traces/.")]
OfPolicy = Annotated[str | None, typer.Option("--policy", help="The run of this policy, by its name in tables.")]
OfLoad = Annotated[float | None, typer.Option("--load", help="The run at this utilization, or rate in queries/s.")]
OfSeed = Annotated[int | None, typer.Option("--seed", help="The run of this seed.")]
RequestRate = Annotated[
    list[float] | None,
    typer.Option(
        "--request-rate", metavar="RPS", help="Mean rate in requests a second. Repeatable: each is a measured point."
    ),
]
Burstiness = Annotated[
    float | None,
    typer.Option("--burstiness", help="Gamma arrivals of this shape: 1 is Poisson, below 1 bursty, inf constant."),
]
NumRequests = Annotated[int | None, typer.Option("--num-requests", help="Requests of one measured point.")]
Duration = Annotated[
    float | None, typer.Option("--duration", metavar="SECONDS", help="Or how long a measured point lasts.")
]
MaxConcurrency = Annotated[
    int | None,
    typer.Option(
        "--max-concurrency", help="Most requests under way at once; more are held back, and the report says so."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="The one seed of the schedules.")]
NumRuns = Annotated[
    int | None,
    typer.Option(
        "--num-runs",
        min=1,
        max=10_000,
        help="Runs of each point, with seeds that count up from the first; policies take turns.",
    ),
]
Goodput = Annotated[
    list[str] | None,
    typer.Option("--goodput", metavar="KEY:MS", help="What a good answer takes at the most, e.g. response:50."),
]
