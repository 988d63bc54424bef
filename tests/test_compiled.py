"""The compiled machine and driver: they do as the interpreted ones, and are not used beside other sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from dvabatch.compiled import check_compiled, is_compiled
from tests.cli.command import dvabatch

ROOT = Path(__file__).resolve().parents[1]
SUFFIX = EXTENSION_SUFFIXES[0]
# Run in a folder with the compiled copy.
REPLAY = """
from dvabatch.compiled import is_compiled
from dvabatch.batching import machine
from dvabatch.runtime import polling
from tests.golden.recording import GOLDEN, record
assert is_compiled() and all(module.__file__.endswith(".so") for module in (machine, polling))
assert record() == GOLDEN.read_text()
"""
DRIVEN = ("polling", "threaded", "device_faults", "faults")


def tree_with(root: Path, *, source_s: float, module_s: float) -> Path:
    for folder, name in (("dvabatch/batching", "machine"), ("dvabatch/batching/policies", "auto"), ("engines", "cuda")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for suffix, age_s in ((".py", source_s), (SUFFIX, module_s)):
            file = root / folder / f"{name}{suffix}"
            file.touch()
            os.utime(file, (age_s, age_s))
    return root


def test_modules_of_these_sources_are_taken(tmp_path: Path) -> None:
    root = tree_with(tmp_path, source_s=1000, module_s=2000)
    assert is_compiled(root)
    check_compiled(root)


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("source", ["dvabatch/batching/policies/auto.py", "engines/cuda.py"])
def test_modules_of_other_sources_are_refused(tmp_path: Path, source: str, gone: bool) -> None:
    root = tree_with(tmp_path, source_s=1000, module_s=2000)
    if gone:
        (root / source).unlink()
    else:
        os.utime(root / source, (3000, 3000))
    with pytest.raises(ImportError, match=rf"{source} is not what .* `make fast` again, or `make slow`"):
        check_compiled(root)


def test_without_modules_there_is_nothing_to_hold(tmp_path: Path) -> None:
    tree_with(tmp_path, source_s=1000, module_s=2000)
    for module in tmp_path.rglob(f"*{SUFFIX}"):
        module.unlink()
    assert not is_compiled(tmp_path)
    check_compiled(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler: `make fast` needs one"
)
def test_compiled_they_do_as_interpreted(tmp_path: Path) -> None:
    """In a copy, as `make fast` does it, but for the compiler's own pains."""
    for name in ("dvabatch", "engines", "slicer", "dvabatch_cli", "configs", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    environment = {**os.environ, "MYPYC_OPT_LEVEL": "0", "PYTHONPATH": str(tmp_path)}
    made = subprocess.run(
        ["make", "-s", "compile", f"BIN={Path(sys.executable).parent}"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, (made.stdout + made.stderr)[-3000:]
    # A sweep goes to processes of its own, to which nothing compiled can be sent.
    swept = ["-m", "dvabatch_cli", "simulate", "resnet_152_table.json", "--quick", "--set", "load.utilization=0.5"]
    driven = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/runtime/test_{name}.py" for name in DRIVEN)]
    for words in (["-c", REPLAY], driven, [*swept, "-o", "compiled"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert dvabatch(*swept[2:], "-o", tmp_path / "interpreted").code == 0
    reports = [(tmp_path / folder / "report.json").read_bytes() for folder in ("compiled", "interpreted")]
    assert reports[0] == reports[1]
