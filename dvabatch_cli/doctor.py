"""`dvabatch doctor`: what this host has, what it lacks, how punctual it is, and what follows."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dvabatch.reporting.percentiles import milliseconds_text, percentile_text
from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.environment import environment, packages
from dvabatch_cli.errors import Exit
from dvabatch_cli.gpu import backend_of
from dvabatch_cli.host import cpu_times
from dvabatch_cli.options import Json
from dvabatch_cli.pacing import DriverKind, Pacing, Say, measure_pacing
from engines.cache import default_root

_NEEDED_BYTES = 2 << 30
_MOST_SLACK_NS = 100_000
_MOST_STOLEN = 0.01
_UNKNOWN = "unknown"
_LATE = "senders will be late: free cores, or grant real-time priority"


NoPacing = Annotated[
    bool, typer.Option("--no-pacing", help="Leave the pacing self-test out: answer at once, without lateness.")
]


@app.command(epilog="Example: dvabatch doctor")
def doctor(no_pacing: NoPacing = False, as_json: Json = False) -> None:
    """Say what this host has, what it lacks, how punctual it is, and what follows.

    The pacing self-test, some seven seconds, sends queries through the real driver to an engine that takes no time, at 1,000,
    5,000 and 20,000 a second, by both ways of load.admission. Exit code 3 if something is missing that `dvabatch bench` needs.
    """
    with one_message():
        pacing, stolen = (None, None) if no_pacing else _pacing(speaker(as_json))
        facts = environment(steal_share=stolen, pacing=None if pacing is None else pacing.to_json())
        findings = _findings(facts)
        if pacing is not None:
            findings.append(_finding("pacing", pacing.verdict, pacing.admission is not None, _LATE, needed=False))
        if as_json:
            print_json({"environment": facts, "findings": findings})
        else:
            out.print(_findings_table(findings))
            if pacing is not None:
                out.print(_pacing_table(pacing))
        say_next("dvabatch bench demo.json", as_json)
        if any(finding["needed"] and not finding["fine"] for finding in findings):
            raise typer.Exit(Exit.ENVIRONMENT)


def _pacing(say: Say) -> tuple[Pacing, float | None]:
    """The self-test, and the share of the processor time that was stolen during it."""
    say("pacing self-test, about 7 s; --no-pacing leaves it out")
    driver: DriverKind = "polling" if backend_of("auto", say) == "tensorrt" else "threaded"  # what bench would take
    before = cpu_times()
    pacing = measure_pacing(driver, say=say)
    after = cpu_times()
    return pacing, None if before is None or after is None else after.steal_share_since(before)


def _findings_table(findings: list[dict[str, object]]) -> Table:
    table = Table(title="doctor")
    for heading in ("what", "found", "what follows"):
        table.add_column(heading)
    for finding in findings:
        table.add_row(
            f"[{'green' if finding['fine'] else 'yellow'}]{finding['what']}[/]",
            escape(str(finding["found"])),
            escape(str(finding["follows"])),
        )
    return table


def _pacing_table(pacing: Pacing) -> Table:
    """How late queries were taken, by rate and admission."""
    table = Table(title=f"lateness of the {pacing.driver} driver, engines that take no time")
    for heading in ("admission", "queries/s", "p50 ms", "p99 ms", "max ms", "on time"):
        table.add_column(heading, justify="left" if heading == "admission" else "right")
    for each in pacing.found:
        late = [percentile_text(each.p50_ms, "p50"), percentile_text(each.p99_ms, "p99")]
        late.append("n/a" if each.max_ms is None else milliseconds_text(each.max_ms))
        table.add_row(each.admission, f"{each.rate_rps:,}", *late, "yes" if each.on_time else "[yellow]no[/]")
    return table


def _findings(facts: Mapping[str, Any]) -> list[dict[str, object]]:
    """One line a thing: needed says whether `dvabatch bench` works without it."""
    versions = packages()
    cores = facts["cores"]
    free = shutil.disk_usage(_existing(default_root().absolute())).free
    tensorrt = importlib.util.find_spec("tensorrt") is not None
    gpu = os.path.exists("/dev/nvidiactl")  # noqa: PTH110 -- a device file, not a path to work with
    return [
        _finding("Python", sys.version.split()[0], sys.version_info >= (3, 10), "3.10 or newer is needed"),
        _finding(
            "machine",
            "compiled" if facts["compiled"] else "interpreted",
            facts["compiled"],
            "decisions and simulations take about twice as long: `make fast` in a checkout compiles it",
            needed=False,
        ),
        _finding("cores", cores, cores >= 2, "with one core the load generator and the engines share it", needed=False),
        *_punctuality(facts),
        *(
            _finding(name, versions[name] or "missing", versions[name] is not None, f"pip install {name}")
            for name in ("numpy", "onnx", "onnx-graphsurgeon", "onnxruntime", "pydantic", "python-rapidjson")
        ),
        _finding(
            "cache",
            f"{default_root()}, {free / 1e9:.0f} GB free",
            free > _NEEDED_BYTES,
            "models, stages and engines go there; DVABATCH_CACHE moves it",
        ),
        _finding(
            "GPU",
            "NVIDIA" if gpu else "none",
            gpu,
            "without one, everything runs on ONNX Runtime's CPU kernels",
            needed=False,
        ),
        _finding(
            "tensorrt",
            versions["tensorrt"] or "missing",
            tensorrt,
            "pip install 'dvabatch[tensorrt]' on a machine with an NVIDIA GPU",
            needed=False,
        ),
    ]


def _punctuality(facts: Mapping[str, Any]) -> list[dict[str, object]]:
    """What makes a host late, as far as it can be read."""
    quota, slack, first = facts["cpu_quota_cores"], facts["timer_slack_ns"], facts["real_time_priority"]
    found = [
        _finding(
            "processor quota",
            "none" if quota is None else f"{quota:g} cores",
            quota is None or quota >= facts["cores"],
            "whoever uses more is stopped for milliseconds: raise the quota, or lower engine.threads to it",
            needed=False,
        ),
        _finding(
            "real-time priority",
            _UNKNOWN if first is None else "permitted" if first else "not permitted",
            first is not False,
            "engines may delay the driver by milliseconds: grant CAP_SYS_NICE or RLIMIT_RTPRIO",
            needed=False,
        ),
        _finding(
            "timer slack",
            _UNKNOWN if slack is None else f"{slack / 1e3:g} us",
            slack is None or slack <= _MOST_SLACK_NS,
            "sleepers wake that late",
            needed=False,
        ),
    ]
    governor, stolen = facts["frequency_governor"], facts["steal_share"]
    if governor is not None:
        fine = governor == "performance"
        found.append(
            _finding("clock governor", governor, fine, "clocks change with the load: set performance", needed=False)
        )
    if stolen is not None:
        fine, told = stolen <= _MOST_STOLEN, "other guests of the host take its cores: expect late senders"
        found.append(_finding("stolen time", f"{stolen:.1%}", fine, told, needed=False))
    return found


def _finding(what: str, found: object, fine: bool, otherwise: str, *, needed: bool = True) -> dict[str, object]:
    return {"what": what, "found": found, "fine": fine, "needed": needed, "follows": "" if fine else otherwise}


def _existing(path: Path) -> Path:
    """The nearest folder above that is there already."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
