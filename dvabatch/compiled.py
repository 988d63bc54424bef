"""Whether machine and driver are compiled (`make fast`), and from the sources that lie beside them.

Compiled modules lie beside their sources, and Python takes them first. A source that is edited later would change nothing, and
nobody would notice: so that is refused.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_FOLDERS = ("dvabatch/batching", "dvabatch/runtime", "engines")  # in which `make fast` puts modules


def is_compiled(root: Path = _ROOT) -> bool:
    """Whether the machine in this tree runs compiled, and its driver with it."""
    return any((root / "dvabatch" / "batching" / f"machine{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


def check_compiled(root: Path = _ROOT) -> None:
    """Holds every compiled module against its source.

    Raises:
        ImportError: a source is newer, or is gone.
    """
    if not is_compiled(root):
        return
    for folder in _FOLDERS:
        for module in (root / folder).rglob("*.so"):
            source = module.with_name(f"{module.name.partition('.')[0]}.py")
            if not source.exists() or source.stat().st_mtime > module.stat().st_mtime:
                raise ImportError(
                    f"{source} is not what its compiled module was made from: "
                    "run `make fast` again, or `make slow` to have all interpreted"
                )
