"""`dvabatch build`: make an engine for each stage, or find it in the cache."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.gpu import backend_of, prepare_on
from dvabatch_cli.options import Backend, Json, Level, Precision, SmallBatch, Stages, Threads, Workspace
from dvabatch_cli.shapes import parse_shapes
from dvabatch_cli.workspace import Prepared
from engines.cache import CachedEngine
from engines.errors import EngineError
from engines.tensorrt.build import LAYERS_FILE, SMALL_LAYERS_FILE
from engines.tensorrt.options import Range, TensorRTOptions
from slicer import Manifest, check_stages

BACKENDS = ("auto", "onnxruntime", "tensorrt")
Lengths = Annotated[str | None, typer.Option("--lengths", help="Sequence lengths of the lanes, e.g. 32,64,128.")]


def _shapes_option(which: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{which}-shapes", metavar="NAME:DxDx...", help=f"The {which} shape of an input (tensorrt). Repeatable."
    )
    return option


@app.command(epilog="Example: dvabatch build resnet_152.stages --backend tensorrt --precision fp16")
def build(
    folder: Stages,
    backend: Backend = "auto",
    threads: Threads = 0,
    precision: Precision = "fp32",
    max_batch: Annotated[int, typer.Option(min=1, help="Largest batch of the engines (tensorrt).")] = 32,
    lengths: Lengths = None,
    min_shapes: Annotated[list[str] | None, _shapes_option("min")] = None,
    opt_shapes: Annotated[list[str] | None, _shapes_option("opt")] = None,
    max_shapes: Annotated[list[str] | None, _shapes_option("max")] = None,
    level: Level = 3,
    small_batch: SmallBatch = 0,
    workspace_mib: Workspace = None,
    timing_cache: Annotated[
        Path | None, typer.Option("--timing-cache", help="File of TensorRT's kernel timings [in dvabatch's cache].")
    ] = None,
    layers: Annotated[
        Path | None, typer.Option("--export-layer-info", help="Write what each engine is made of into this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an engine for each stage of a folder. Engines are cached by content: a second build is instant and says so."""
    with one_message():
        check_backend(backend)
        ranges = _ranges(min_shapes, opt_shapes, max_shapes)
        check_small(small_batch, max_batch, ranges)
        options = TensorRTOptions(
            precision,
            max_batch,
            lengths_of(lengths),
            level,
            None if workspace_mib is None else workspace_mib << 20,
            ranges,
            timing_cache,
            small_batch,
        )
        say = speaker(as_json)
        stages = check_stages(folder)
        _check_names(stages.manifest, options.ranges)
        chosen = backend_of(backend, say)
        if chosen != "tensorrt":
            check_plain(options)
        prepared = prepare_on(chosen, stages, options, threads=threads, say=say)
        labels = [f"stage {stage.index}" for stage in prepared.manifest.stages] + ["whole model"]
        engines = [*prepared.engines, prepared.whole]
        if layers is not None:
            _export(prepared, labels, engines, layers)
        if as_json:
            print_json({label: _facts(engine) for label, engine in zip(labels, engines, strict=True)})
        else:
            out.print(_table(prepared.manifest.name, labels, engines))
        usual = TensorRTOptions()
        asked = f" --backend {backend}" * (backend != "auto")
        asked += f" --precision {precision}" * (precision != usual.precision)
        asked += f" --max-batch {max_batch}" * (max_batch != usual.max_batch)
        asked += f" --lengths {lengths}" * (lengths is not None)
        asked += f" --builder-optimization-level {level}" * (level != usual.level)
        asked += f" --small-batch {small_batch}" * (small_batch != usual.small_batch)
        asked += f" --workspace {workspace_mib}" * (workspace_mib is not None)
        say_next(f"dvabatch profile {folder}{asked}", as_json)


def check_backend(backend: str) -> None:
    """Raises:
    CommandError: there is no such backend.
    """
    if backend not in BACKENDS:
        raise CommandError(f"--backend {backend!r} is unknown; wanted one of {', '.join(BACKENDS)}")


def lengths_of(text: str | None) -> tuple[int, ...]:
    """Raises:
    CommandError: the text is no list of lengths.
    """
    if text is None:
        return ()
    try:
        lengths = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        lengths = ()
    if not lengths or lengths[0] < 1:
        raise CommandError(f"--lengths {text!r} is no list of lengths; wanted e.g. 32,64,128")
    return lengths


def _ranges(least: list[str] | None, best: list[str] | None, most: list[str] | None) -> dict[str, Range]:
    """Inputs by name, each with its three shapes; what is given for one kind only holds for all three."""
    by_kind: list[Mapping[str, tuple[int, ...]]] = [parse_shapes(shapes or []) for shapes in (least, best, most)]
    ranges = {}
    for name in sorted(set().union(*by_kind)):
        given = [shapes.get(name) for shapes in by_kind]
        low, middle, high = (
            shape or next(other for other in (*given[at:], *reversed(given[:at])) if other)
            for at, shape in enumerate(given)
        )
        try:
            ranges[name] = Range(low, middle, high)
        except ValueError as error:
            raise CommandError(f"--min-shapes, --opt-shapes and --max-shapes of {name!r}: {error}") from error
    return ranges


def _check_names(manifest: Manifest, ranges: Mapping[str, Range]) -> None:
    known = {tensor.name for stage in manifest.stages for tensor in stage.inputs}
    strange = sorted(set(ranges) - known)
    if strange:
        raise CommandError(
            f"--min-shapes, --opt-shapes or --max-shapes name {strange[0]!r}, which no stage reads; wanted one of "
            f"{', '.join(sorted(known))}"
        )


def check_small(small_batch: int, max_batch: int, ranges: Mapping[str, Range] | None = None) -> None:
    """Raises:
    CommandError: so small a batch leaves none for the other kernels, or inputs have shapes of their own.
    """
    if small_batch >= max_batch:
        raise CommandError(f"--small-batch {small_batch} came, wanted less than --max-batch {max_batch}")
    if small_batch and ranges:
        raise CommandError(
            f"--small-batch {small_batch} and shapes of {', '.join(ranges)} came; wanted one of them: leave --small-batch or "
            "--min-shapes, --opt-shapes and --max-shapes out"
        )


def check_plain(options: TensorRTOptions) -> None:
    """What only TensorRT's builder knows is not passed over in silence.

    Raises:
        CommandError: some of it came.
    """
    given = {
        "--min-shapes, --opt-shapes and --max-shapes": bool(options.ranges),
        "--builder-optimization-level": options.level != TensorRTOptions().level,
        "--small-batch": options.small_batch > 0,
        "--workspace": options.workspace_bytes is not None,
        "--timing-cache": options.timing_cache is not None,
    }
    for name, is_given in given.items():
        if is_given:
            raise CommandError(f"{name} came, for which the backend tensorrt is needed; leave it out on onnxruntime")


def _export(prepared: Prepared, labels: list[str], engines: list[CachedEngine], folder: Path) -> None:
    if prepared.backend != "tensorrt":
        raise CommandError(f"--export-layer-info needs the backend tensorrt; these engines are {prepared.backend}'s")
    folder.mkdir(parents=True, exist_ok=True)
    for label, engine in zip(labels, engines, strict=True):
        file, small, name = engine.folder / LAYERS_FILE, engine.folder / SMALL_LAYERS_FILE, label.replace(" ", "_")
        if not file.is_file():
            raise EngineError(f"{engine.folder} holds no {LAYERS_FILE}: run `dvabatch cache clear` and build again")
        shutil.copyfile(file, folder / f"{name}.json")
        if small.is_file():
            shutil.copyfile(small, folder / f"{name}_small.json")


def _facts(engine: CachedEngine) -> dict[str, object]:
    return {
        "cache": "hit" if engine.hit else "miss",
        "build_s": engine.build_s,
        "bytes": engine.size_bytes,
        "key": engine.key,
    }


def _table(name: str, labels: list[str], engines: list[CachedEngine]) -> Table:
    table = Table(title=escape(f"{name}: engines"))
    for heading in ("engine", "cache", "build s", "MB", "key"):
        table.add_column(heading, justify="right" if heading in {"build s", "MB"} else "left")
    for label, engine in zip(labels, engines, strict=True):
        cached = "hit" if engine.hit else "miss"
        table.add_row(label, cached, f"{engine.build_s:.2f}", f"{engine.size_bytes / 1e6:.1f}", engine.key[:12])
    return table
