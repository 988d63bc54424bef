"""`dvabatch build`: make an engine for each stage, or find it in the cache."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.options import Backend, Json, Stages, Threads
from dvabatch_cli.workspace import prepare
from engines.cache import CachedEngine

BACKENDS = ("auto", "onnxruntime", "tensorrt")


@app.command(epilog="Example: dvabatch build resnet_152.stages")
def build(
    folder: Stages,
    backend: Backend = "auto",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Make an engine for each stage of a folder. Engines are cached by content: a second build is instant and says so."""
    with one_message():
        check_backend(backend)
        prepared = prepare(folder, backend=backend, threads=threads, say=speaker(as_json))
        labels = [f"stage {stage.index}" for stage in prepared.manifest.stages] + ["whole model"]
        engines = [*prepared.engines, prepared.whole]
        if as_json:
            print_json({label: _facts(engine) for label, engine in zip(labels, engines, strict=True)})
        else:
            out.print(_table(prepared.manifest.name, labels, engines))
        say_next(f"dvabatch profile {folder}", as_json)


def check_backend(backend: str) -> None:
    """Raises:
    CommandError: there is no such backend.
    """
    if backend not in BACKENDS:
        raise CommandError(f"--backend {backend!r} is unknown; wanted one of {', '.join(BACKENDS)}")


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
