"""TensorRT itself, imported on demand, and a logger that keeps what it says."""

from __future__ import annotations

from functools import cache
from typing import Any

from engines.cuda import import_or_say
from engines.tensorrt import release

_MOST_KEPT = 20


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
        self.logger = _logger(self)

    def last(self) -> str:
        return "; ".join(self.said[-3:]) or "no reason given"


def _logger(complaints: Complaints) -> Any:
    trt = tensorrt()

    class Keeping(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}:
                complaints.said.append(message.strip())
                del complaints.said[:-_MOST_KEPT]

    return Keeping()
