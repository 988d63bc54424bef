"""Configs as short as can be, with something changed, and what is said about them."""

from typing import Any

from dvabatch_cli.config import Config, ConfigError, config_of

MMPP = {"process": "mmpp", "states": [0.1, 0.9], "dwell_ms": [200, 200]}
LENGTHS = {"distribution": "uniform", "high": 128}


def raw_config(**changes: Any) -> dict[str, Any]:
    """A config as short as can be with top-level keys changed; None takes one away."""
    raw = {
        "name": "x",
        "model": {"network": "tiny_resnet"},
        "policies": [{"scheduler_type": "NORMAL"}],
        "load": {"utilization": 0.5},
        **changes,
    }
    return {name: value for name, value in raw.items() if value is not None}


def config(**changes: Any) -> Config:
    return config_of(raw_config(**changes))


def problems(**changes: Any) -> list[str]:
    """The lines of the error that the changed config raises; none if it is fine."""
    try:
        config(**changes)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def problem(**changes: Any) -> str:
    [only] = problems(**changes)
    return only.removeprefix("config: ")


def load(**changes: Any) -> dict[str, Any]:
    return {"load": {"utilization": 0.5, **changes}}


def shaped(**changes: Any) -> dict[str, Any]:
    return {"load": {**MMPP, **changes}}


def fault(kind: str, **options: Any) -> dict[str, Any]:
    """With room for queries that fail."""
    return {"faults": [{"kind": kind, **options}], "checks": {"error_limit": 0.5}}


def policy(kind: str, **options: Any) -> dict[str, Any]:
    return {"policies": [{"scheduler_type": kind, **options}]}
