"""Runs `dvabatch` in this process, and makes small configs for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from typer.testing import CliRunner

from dvabatch_cli import __main__  # noqa: F401 -- its imports register the subcommands
from dvabatch_cli.app import app

SCHEMA = Path(__file__).resolve().parents[2] / "configs" / "schema" / "report.schema.json"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


def dvabatch(*words: object) -> Done:
    """Runs the command line; whatever would be a traceback is raised."""
    result = CliRunner().invoke(app, [str(word) for word in words], prog_name="dvabatch")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def refused(code: int, *words: object) -> str:
    """A command that must end with this code and one message, said once, on standard error; the message."""
    done = dvabatch(*words)
    assert done.code == code, (done.code, done.out, done.err)
    assert "Traceback" not in done.out + done.err
    messages = [line for line in done.err.splitlines() if line.startswith("dvabatch: ")]
    assert len(messages) == 1, done.err
    _, _, message = done.err.partition("dvabatch: ")
    assert "Next: " not in message
    return message


TABLE = {
    "name": "small",
    "stages": [
        {"latency_ms": {"1": 0.2, "8": 0.4}, "share": {"1": 0.4, "8": 0.9}},
        {"latency_ms": {"1": 0.1, "8": 0.3}, "share": {"1": 0.4, "8": 0.9}},
    ],
    "boundary_us": 5,
}
NORMAL = {"scheduler_type": "NORMAL"}
LOAD = {"scheduler_type": "LOAD_DVA", "max_allow_merge_stage": 1}
OPERATOR = {"scheduler_type": "OPERATOR_DVA", "favor_per_stage": [2, 4]}
ENGINE = {"max_batch": 8, "executors_per_stage": 2, "buffer_set_size": 4}


def table_config(folder: Path, *, table: Mapping[str, Any] = TABLE, **sections: Any) -> Path:
    """A config on a latency table, in `folder`."""
    (folder / "table.json").write_text(json.dumps(table))
    engine = {**ENGINE, "backend": "table", "table": "table.json"}
    return _write(folder, {"name": "small", "slicing": {"stages": 2}, "engine": engine}, sections)


def model_config(folder: Path, **sections: Any) -> Path:
    """A config on tiny_resnet, in `folder`."""
    model = {"network": "tiny_resnet", "input": [3, 32, 32], "seed": 1}
    engine = {**ENGINE, "backend": "onnxruntime", "threads": 1}
    return _write(folder, {"name": "tiny", "model": model, "slicing": {"stages": 3}, "engine": engine}, sections)


def _write(folder: Path, facts: Mapping[str, Any], sections: Mapping[str, Any]) -> Path:
    usual = {
        "policies": [NORMAL, LOAD],
        "baselines": [],
        "load": {"process": "poisson", "request_rate": 2000, "num_requests": 100},
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps({**facts, **usual, **sections}))
    return file


def report_of(folder: Path) -> dict[str, Any]:
    """The report of a results folder, which is as its schema says."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    for run in report["runs"]:
        counts = run["counts"]
        ends = sum(counts[how] for how in ("completed", "rejected", "failed", "cancelled"))
        assert counts["offered"] == ends
    return report


def ended_well(done: Done, report: Mapping[str, Any]) -> bool:
    """Whether a real run ended as it should. A machine that is busy elsewhere may have made its sender late: the run then
    says so, and only so."""
    reasons = [reason for run in report["runs"] for reason in run["invalid_reasons"]]
    about_the_sender = all("the sender was late" in reason or "rate" in reason for reason in reasons)
    return done.code == (4 if reasons else 0) and about_the_sender
