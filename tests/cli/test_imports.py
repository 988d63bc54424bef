"""Who imports whom: the arrows of the house, held by lint in the pure core and by this test everywhere."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dvabatch", "dvabatch_cli", "engines", "slicer")
# Which modules of ours the modules below each package may import, besides its own. A name stands for all below it.
ARROWS = {
    "dvabatch.batching": (),
    "dvabatch.models": (),
    "dvabatch.loadgen": ("dvabatch.batching.query",),
    "dvabatch.reporting": ("dvabatch.batching",),
    # The contract, and what belongs to it: the errors it raises and the priority that it runs at.
    "dvabatch.runtime": (
        "dvabatch.batching",
        "engines.base",
        "engines.device",
        "engines.errors",
        "engines.cores",
        "engines.priority",
    ),
    "dvabatch.runtime.table": ("dvabatch.batching", "engines.table"),  # puts the table engine on a profile
    "engines": ("slicer.manifest",),
    "slicer": (),
    "dvabatch_cli": ("dvabatch", "engines", "slicer"),
    "dvabatch": (),
}
# Of the standard library, what knows a clock, a thread, a file, a process or chance.
IMPURE = {
    "asyncio", "concurrent", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "queue", "random", "sched",
    "secrets", "select", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time", "uuid",
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of ours by name."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def imports(module: str, file: Path) -> Iterator[str]:
    """The modules that this one names, wherever in its text."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                below = f"{base}.{alias.name}"
                yield below if below in MODULES else base


def under(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def package_of(module: str) -> str:
    """The longest name in ARROWS that this module lies under."""
    return max((prefix for prefix in ARROWS if under(module, prefix)), key=len)


def allowed(module: str, imported: str) -> bool:
    own = package_of(module)
    own = "dvabatch.runtime" if own == "dvabatch.runtime.table" and under(imported, "dvabatch.runtime") else own
    return under(imported, own) or any(under(imported, prefix) for prefix in ARROWS[package_of(module)])


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_upward(module: str) -> None:
    ours = {name for name in imports(module, MODULES[module]) if name.split(".")[0] in PACKAGES}
    assert {name for name in ours if not allowed(module, name)} == set()


def test_the_core_imports_values_only() -> None:
    strangers = {
        (module, name)
        for module, file in MODULES.items()
        if under(module, "dvabatch.batching")
        for name in imports(module, file)
        if name.split(".")[0] not in sys.stdlib_module_names - IMPURE and not under(name, "dvabatch.batching")
    }
    assert strangers == set()


def test_there_are_no_circles() -> None:
    graph = {
        module: {name for name in imports(module, file) if name in MODULES and name != module}
        for module, file in MODULES.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_the_test_itself_sees_an_upward_import(tmp_path: Path) -> None:
    file = tmp_path / "upward.py"
    file.write_text("def late():\n    from engines.cache import EngineCache\n")
    assert [name for name in imports("dvabatch.runtime.upward", file) if not allowed("dvabatch.runtime.upward", name)]
    file.write_text("from ..runtime import service\n")
    assert list(imports("dvabatch.batching.upward", file)) == ["dvabatch.runtime.service"]
    assert not allowed("dvabatch.batching.upward", "dvabatch.runtime.service")


@pytest.fixture(scope="module")
def copied_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core in a tree of its own, with its lint rules and the project's."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copytree(ROOT / "dvabatch" / "batching", root / "dvabatch" / "batching")
    return root


def lint(root: Path) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    words = [str(ruff), "check", "--no-cache", "--output-format", "concise", "dvabatch"]
    return subprocess.run(words, cwd=root, capture_output=True, text=True, check=False).stdout


def test_lint_finds_nothing_in_the_core_as_it_is(copied_core: Path) -> None:
    assert "TID251" not in lint(copied_core)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import time", "has no clock"),
        ("from time import monotonic_ns", "has no clock"),
        ("import threading", "has no threads"),
        ("import numpy as np", "never in arrays"),
        ("from dvabatch.runtime import Runtime", "the runtime drives the core"),
        ("from engines.base import StageEngine", "touches no device"),
        ("import dvabatch_cli", "Nothing imports upward"),
    ],
)
def test_lint_flags_exactly_the_offending_line_with_our_words(copied_core: Path, line: str, reason: str) -> None:
    offender = copied_core / "dvabatch" / "batching" / "offender.py"
    offender.write_text(
        f'"""A module that asks too much."""\n\nfrom enum import Enum  # noqa: F401\n{line}  # noqa: F401\n'
    )
    try:
        flagged = [each for each in lint(copied_core).splitlines() if "TID251" in each]
    finally:
        offender.unlink()
    assert len(flagged) == 1
    assert flagged[0].startswith("dvabatch/batching/offender.py:4:")
    assert reason in flagged[0]
