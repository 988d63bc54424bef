"""report.json: put together, written, read back.

What differs between two runs of the same simulation (when, by which command, where) lies in meta.json beside it, so
that report.json is the same byte for byte; reading merges the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .canonical import pretty
from .errors import ReportError
from .files import read_object, write_text

SCHEMA_VERSION: Final = "1.0"
META_KEYS: Final = ("created_at", "command", "environment")
_ORDER: Final = (
    "schema_version",
    "name",
    *META_KEYS,
    "dvabatch_version",
    "config",
    "model",
    "engine",
    "profile",
    "correctness",
    "runs",
    "comparison",
)
_NUMBER: Final = (int, float)
_NONE: Final = type(None)
# What tables and figures read of a run, and the types they rely on; configs/schema/report.schema.json has it all.
_RUN_SHAPE: Final[Mapping[str, tuple[type, ...]]] = {
    "policy.scheduler_type": (str,),
    "role": (str,),
    "load.process": (str,),
    "load.request_rate_rps": _NUMBER,
    "load.utilization": (*_NUMBER, _NONE),
    "load.schedule_sha256": (str,),
    "valid": (bool,),
    "saturated": (bool,),
    "invalid_reasons": (list,),
    "counts.offered": (int,),
    "counts.completed": (int,),
    "response_ms.mean": (*_NUMBER, _NONE),
    "response_ms.mean_ci95": (list, _NONE),
    "response_ms.p50": (*_NUMBER, _NONE),
    "response_ms.p99": (*_NUMBER, _NONE),
    "response_cdf_ms": (list, _NONE),
    "request_throughput_rps": (*_NUMBER, _NONE),
    "goodput_rps": (*_NUMBER, _NONE),
    "stages": (list,),
    "operations": (dict,),
}


def assemble(
    *,
    name: str,
    dvabatch_version: str,
    config: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    engine: Mapping[str, Any],
    profile: Mapping[str, Any] | None,
    correctness: Mapping[str, Any] | None,
    runs: Sequence[Mapping[str, Any]],
    comparison: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """report.json without what meta.json holds. None: no model (latency tables), no profile, answers not checked."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "dvabatch_version": dvabatch_version,
        "config": dict(config),
        "model": None if model is None else dict(model),
        "engine": dict(engine),
        "profile": None if profile is None else dict(profile),
        "correctness": None if correctness is None else dict(correctness),
        "runs": [dict(run) for run in runs],
        "comparison": [dict(row) for row in comparison],
    }


def write_report(directory: Path | str, report: Mapping[str, Any], meta: Mapping[str, Any]) -> Path:
    """Writes meta.json and report.json atomically, each; returns report.json's path.

    `meta` has created_at, command and environment. A report that was read back, and so has them too, may be written
    as it is: they go where they belong.
    """
    folder = Path(directory)
    unknown = set(meta) - set(META_KEYS)
    if unknown:
        raise ReportError(f"meta has {sorted(unknown)}, wanted only {list(META_KEYS)}: the rest belongs in the report")
    merged = {key: report[key] for key in META_KEYS if key in report} | dict(meta)
    body = {key: value for key, value in report.items() if key not in META_KEYS}
    _check(body, "the report to write")
    texts = {"meta.json": pretty(merged, META_KEYS), "report.json": pretty(body, _ORDER)}  # both, before either
    for name, text in texts.items():
        write_text(folder / name, text)
    return folder / "report.json"


def read_report(path: Path | str) -> dict[str, Any]:
    """The report of a results folder, or of the report.json in one, with meta.json merged in.

    ReportError where it is missing, damaged, huge, or written by a dvabatch with a newer major schema version.
    """
    file = Path(path) / "report.json" if Path(path).is_dir() else Path(path)
    body = read_object(file, "a report")
    _check(body, str(file))
    meta_file = file.with_name("meta.json")
    meta = read_object(meta_file, "a report's meta data") if meta_file.exists() else {}
    absent: dict[str, Any] = {"created_at": None, "command": None, "environment": {}}
    merged = absent | body | {key: meta[key] for key in META_KEYS if key in meta}
    return {key: merged[key] for key in _ORDER if key in merged} | merged


def _check(report: Mapping[str, Any], source: str) -> None:
    version = report.get("schema_version")
    match = re.fullmatch(r"(\d{1,6})\.(\d{1,6})", version) if isinstance(version, str) else None
    if match is None:
        raise ReportError(f"{source} has schema_version {version!r}, wanted {SCHEMA_VERSION!r}: it is not a report")
    if int(match[1]) > int(SCHEMA_VERSION.split(".")[0]):
        raise ReportError(
            f"{source} has schema_version {version}, this dvabatch reads up to {SCHEMA_VERSION.split('.')[0]}.x:"
            " upgrade dvabatch, or bench again with this one"
        )
    runs = report.get("runs")
    if not isinstance(runs, list):
        raise ReportError(f"{source} has no list of runs: it is damaged or not a report; write it anew")
    check_runs(runs, source)


def check_runs(runs: Sequence[Any], source: str) -> None:
    """Refuses a run without what tables and figures read of it, or with another type there: ReportError names it."""
    for index, run in enumerate(runs):
        for dotted, types in _RUN_SHAPE.items():
            _check_field(run, dotted, types, f"{source}: runs[{index}]")


def _check_field(run: Any, dotted: str, types: tuple[type, ...], where: str) -> None:
    value = run
    for key in dotted.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ReportError(f"{where} has no {dotted}: it is damaged or not a report; write it anew")
        value = value[key]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        wanted = " or ".join("null" if one is _NONE else one.__name__ for one in types)
        raise ReportError(f"{where}.{dotted} is {value!r:.40}, wanted {wanted}: it is damaged; write it anew")
