"""TensorRT itself, imported on demand, and a logger that keeps what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

from engines.cuda import import_or_say, memory_told
from engines.errors import BackendMissingError
from engines.tensorrt import release

_MOST_KEPT = 20
_NO_MEMORY: Final = re.compile(r"out ?of ?memory|insufficient memory|not enough (device )?memory", re.IGNORECASE)
_T = TypeVar("_T")


@cache
def tensorrt() -> Any:
    """The module.

    Raises:
        BackendMissingError: it is not installed, cannot be loaded, or is too old.
    """
    trt = import_or_say("tensorrt", "TensorRT")
    release.check(trt)
    return trt


def version() -> str:
    """The library and its version."""
    return f"tensorrt {tensorrt().__version__}"


class Complaints:
    """What TensorRT has said of errors; it reports failures as None and logs why."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.logger = _logger(self)

    def last(self) -> str:
        """Of errors; where there are none, of warnings: that CUDA cannot be initialised is one."""
        return "; ".join(self.said[-3:] or self.warned[-1:]) or "no reason given"

    def of_memory(self) -> str:
        """What to do, if what was said last is that there is no memory; empty if it is something else."""
        if _NO_MEMORY.search(self.last()) is None:
            return ""
        return (
            f"; the GPU's memory ran out ({memory_told()}): lower --max-batch or --workspace (engine.max_batch, "
            "engine.workspace_mib, engine.buffer_set_size in a config), or end what else uses the GPU"
        )


def started(make: Callable[[Any], _T], complaints: Complaints) -> _T:
    """A builder or a runtime of TensorRT's.

    Raises:
        BackendMissingError: there is none: the library gives nothing, and its binding a TypeError.
    """
    try:
        return make(complaints.logger)
    except TypeError as error:
        raise BackendMissingError(
            f"{version()} does not start on this GPU: {complaints.last()}{complaints.of_memory()}; the usual reason is a "
            "driver older than the CUDA that this TensorRT was made for: compare `nvidia-smi`, and install a newer driver or "
            "an older TensorRT"
        ) from error


def _logger(complaints: Complaints) -> Any:
    trt = tensorrt()

    class Keeping(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}:
                complaints.said.append(message.strip())
                del complaints.said[:-_MOST_KEPT]
            elif severity == trt.ILogger.Severity.WARNING:
                complaints.warned[:] = [message.strip()]

    return Keeping()
