"""Whether the machine is compiled (`make fast`), and from the sources that lie beside it.

Compiled modules lie beside their sources, and Python takes them first. A source that is edited later would change nothing, and
nobody would notice: so that is refused.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_BATCHING = Path(__file__).with_name("batching")


def is_compiled(batching: Path = _BATCHING) -> bool:
    """Whether the machine in this folder runs compiled."""
    return any((batching / f"machine{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


def check_compiled(batching: Path = _BATCHING) -> None:
    """Holds every compiled module against its source.

    Raises:
        ImportError: a source is newer, or is gone.
    """
    if not is_compiled(batching):
        return
    for module in batching.rglob("*.so"):
        source = module.with_name(f"{module.name.partition('.')[0]}.py")
        if not source.exists() or source.stat().st_mtime > module.stat().st_mtime:
            raise ImportError(
                f"{source} is not what its compiled module was made from: "
                "run `make fast` again, or `make slow` to have the machine interpreted"
            )
