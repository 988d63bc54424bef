"""The commands that make each part of the page again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dvabatch.reporting.series import is_simulated

from .markup import Column, Html, code, element, joined, paragraph, section, table

_RUNS = ("bench", "simulate")


def commands_section(report: Mapping[str, Any]) -> Html:
    """Part by part; the runs by the command that was recorded, if it is one of dvabatch's."""
    command = _recorded(report["command"])
    parts: list[tuple[str, str, str]] = []
    remarks: list[Html] = []
    if command is None:
        remarks.append(
            paragraph(
                "No command was recorded. Save the config above as config.json, and run it with dvabatch bench or simulate."
            )
        )
    elif not _is_ours(command):
        remarks.append(
            paragraph(
                joined(("What was recorded is no command of dvabatch: read it before you run it. ", code(command)))
            )
        )
    else:
        parts.append(("all runs, their records and this report", command, _how(report)))
        words = shlex.split(command)
        if words[1] in _RUNS:
            parts.append(("what was interrupted", f"{command} --resume", "measures what is missing"))
            parts += [
                ("the runs of one load", _one_load(words, load), "apart from the others")
                for load in _highest_load(report)
            ]
    parts += [
        ("the figures as files", "dvabatch plot RUN", "SVG and PNG, from report.json alone"),
        ("this page", "dvabatch report RUN -o report.html", "from report.json and meta.json alone"),
        ("the machine's facts", "dvabatch doctor", "what is installed where you stand"),
    ]
    rows = [[part, joined((code(told), element("small", note, class_="note")))] for part, told, note in parts]
    columns = [Column("part", numeric=False), Column("command", numeric=False)]
    told = paragraph("RUN is the folder of results, or the report.json in it. Tables and figures need no new run.")
    return section("reproduce", "Reproduce", *remarks, told, table("Commands", columns, [(None, rows)]))


def _recorded(command: str | Sequence[str] | None) -> str | None:
    if command is None or isinstance(command, str):
        return command or None
    return shlex.join(command) if command else None


def _is_ours(command: str) -> bool:
    """Whether it is `dvabatch` with plain words, quoted as a shell needs them: a report that somebody made up must not pass
    off another command as the way to repeat it."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation that does not end
        return False
    return len(words) > 1 and words[0] == "dvabatch" and shlex.join(words) == command and command.isprintable()


def _how(report: Mapping[str, Any]) -> str:
    if is_simulated(report):
        return "simulated: the same numbers on any machine"
    return "measured: other numbers on another machine"


def _highest_load(report: Mapping[str, Any]) -> list[str]:
    """What `--set` takes to name the highest load alone; nothing where there is but one."""
    loads = {(run["load"]["utilization"], run["load"]["request_rate_rps"]) for run in report["runs"]}
    if len(loads) < 2:
        return []
    utilization, rate = max(loads, key=lambda load: float(load[1]))
    return [f"load.request_rate={rate:g}" if utilization is None else f"load.utilization={utilization:g}"]


def _one_load(words: Sequence[str], load: str) -> str:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith("--output="):
            skip = False
        elif word in {"-o", "--output"}:
            skip = True
        else:
            kept.append(word)
    return shlex.join([*kept, "--set", load, "-o", "results/one_load"])
