"""Where a run took place: what a reader needs to judge its numbers."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dvabatch.compiled import is_compiled
from dvabatch_cli.gpu_watch import open_watch
from dvabatch_cli.host import host_facts, memory_bytes, usable_cores

_PACKAGES = (
    "numpy",
    "onnx",
    "onnx-graphsurgeon",
    "onnxruntime",
    "pydantic",
    "python-rapidjson",
    "tensorrt",
    "pycuda",
    "cuda-bindings",
)


def environment(*, steal_share: float | None = None, pacing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Facts of this machine and installation; what cannot be learnt is None.

    What has to be measured comes from the caller: the share of the processor time that was stolen meanwhile, and how
    punctual the host is (`pacing.Pacing`). None: it was not measured.
    """
    return {
        "cpu": _first_line("/proc/cpuinfo", "model name"),
        "cores": usable_cores(),
        "memory_bytes": memory_bytes(),
        **host_facts(),
        "steal_share": steal_share,
        "pacing": pacing,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "compiled": is_compiled(),
        "packages": packages(),
        "gpu": gpu_facts(),
        "commit": _git("rev-parse", "HEAD"),
        # What runs write, and who makes room for it, changes nothing of what they are made with.
        "dirty": (status := _git("status", "--porcelain", "--", ".", ":!results")) is not None and status != "",
    }


def gpu_facts() -> dict[str, Any] | None:
    """Facts of the first GPU; None without one."""
    with open_watch() as watch:
        return None if watch is None else watch.facts()


def packages() -> dict[str, str | None]:
    """The versions of what matters to a result; None where it is neither installed nor used.

    TensorRT may lie on the path without having been installed there: then what was loaded says its version.
    """
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = getattr(sys.modules.get(name), "__version__", None)
    return found


def _first_line(file: str, key: str) -> str | None:
    try:
        with Path(file).open() as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), None)
    except OSError:
        return None


def _git(*words: str) -> str | None:
    """An answer of git about the checkout that this code runs from; None outside of one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
