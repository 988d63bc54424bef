"""Where two reports were made, and how: what differs there may be why their numbers do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# What holds for a machine or an installation. The rest of an environment is measured at the time and always differs a little.
_LASTING: Final = (
    *("environment.cpu", "environment.cores", "environment.memory_bytes", "environment.system", "environment.python"),
    *("environment.packages", "environment.commit", "environment.dirty"),
    *("environment.gpu.name", "environment.gpu.driver", "environment.gpu.cuda", "environment.gpu.power_cap_w"),
)
_OF_THE_RUN: Final = (
    "dvabatch_version",
    *("engine.backend", "engine.precision", "engine.version", "engine.max_batch"),
    *("model.name", "model.sha256", "model.stages"),
    *("profile.capacity_rps", "config.engine"),
    *("config.load.admission", "config.load.deadline_ms", "config.load.warmup_requests", "config.load.max_concurrency"),
)
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that differs; the texts are JSON-like and short, "not known" where a side does not say."""

    name: str
    old: str
    new: str


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """What differs between the surroundings of two reports, in a fixed order; whether a side was simulated first of all."""
    found = [Difference("time", _time(old), _time(new))]
    for path in (*_LASTING, *_OF_THE_RUN):
        found += _apart(path, _at(old, path), _at(new, path))
    return [each for each in found if each.old != each.new]


def _apart(path: str, old: Any, new: Any) -> Iterator[Difference]:
    """The facts at or below a path, each on its own."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _apart(f"{path}.{key}", old.get(key), new.get(key))
    else:
        yield Difference(path, _text(old), _text(new))


def _at(report: Any, path: str) -> Any:
    for key in path.split("."):
        report = report.get(key) if isinstance(report, Mapping) else None
    if path == "model.stages":  # their cuts, by the stages' digests
        stages = report if isinstance(report, list) else []
        return [stage.get("sha256") if isinstance(stage, Mapping) else None for stage in stages]
    return report


def _text(value: Any) -> str:
    if value is None:
        return "not known"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _time(report: Mapping[str, Any]) -> str:
    """Virtual or real time, by how queries were admitted."""
    kinds = {str(run.get("admission", "not known")) for run in report["runs"]}
    return "real" if kinds & {"pull", "push"} else "simulated" if kinds == {"simulated"} else "not known"
