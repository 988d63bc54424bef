"""`dvabatch doctor`: what is installed, what is missing, and what follows."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next
from dvabatch_cli.environment import environment, packages
from dvabatch_cli.errors import Exit
from dvabatch_cli.options import Json
from engines.cache import default_root

_NEEDED_BYTES = 2 << 30


@app.command(epilog="Example: dvabatch doctor")
def doctor(as_json: Json = False) -> None:
    """Say what this machine has, what it lacks, and what follows.

    Exit code 3 if something is missing that `dvabatch bench` needs.
    """
    with one_message():
        findings = _findings()
        if as_json:
            print_json({"environment": environment(), "findings": findings})
        else:
            table = Table(title="doctor")
            for heading in ("what", "found", "what follows"):
                table.add_column(heading)
            for finding in findings:
                table.add_row(
                    f"[{'green' if finding['fine'] else 'yellow'}]{finding['what']}[/]",
                    escape(str(finding["found"])),
                    escape(str(finding["follows"])),
                )
            out.print(table)
        say_next("dvabatch bench demo.json", as_json)
        if any(finding["needed"] and not finding["fine"] for finding in findings):
            raise typer.Exit(Exit.ENVIRONMENT)


def _findings() -> list[dict[str, object]]:
    """One line a thing: needed says whether `dvabatch bench` works without it."""
    versions = packages()
    cores = len(os.sched_getaffinity(0))
    free = shutil.disk_usage(_existing(default_root().absolute())).free
    tensorrt = importlib.util.find_spec("tensorrt") is not None
    gpu = os.path.exists("/dev/nvidiactl")  # noqa: PTH110 -- a device file, not a path to work with
    return [
        _finding("Python", sys.version.split()[0], sys.version_info >= (3, 10), "3.10 or newer is needed"),
        _finding("cores", cores, cores >= 2, "with one core the load generator and the engines share it", needed=False),
        *(
            _finding(name, versions[name] or "missing", versions[name] is not None, f"pip install {name}")
            for name in ("numpy", "onnx", "onnx-graphsurgeon", "onnxruntime", "pydantic", "python-rapidjson")
        ),
        _finding(
            "cache",
            f"{default_root()}, {free / 1e9:.0f} GB free",
            free > _NEEDED_BYTES,
            "models, stages and engines go there; DVABATCH_CACHE moves it",
        ),
        _finding(
            "GPU",
            "NVIDIA" if gpu else "none",
            gpu,
            "without one, everything runs on ONNX Runtime's CPU kernels",
            needed=False,
        ),
        _finding(
            "tensorrt",
            versions["tensorrt"] or "missing",
            tensorrt,
            "pip install 'dvabatch[tensorrt]' on a machine with an NVIDIA GPU",
            needed=False,
        ),
    ]


def _finding(what: str, found: object, fine: bool, otherwise: str, *, needed: bool = True) -> dict[str, object]:
    return {"what": what, "found": found, "fine": fine, "needed": needed, "follows": "" if fine else otherwise}


def _existing(path: Path) -> Path:
    """The nearest folder above that is there already."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
