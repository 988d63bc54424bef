"""`dvabatch check`: whether the claims hold, by the results that are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from dvabatch_cli.app import app
from dvabatch_cli.config.find import find_config
from dvabatch_cli.config.suggest import did_you_mean
from dvabatch_cli.console import err, one_message, out, print_json, say_next
from dvabatch_cli.errors import CommandError, Exit
from dvabatch_cli.figure import RESULTS, From, command_of
from dvabatch_cli.options import Json
from dvabatch_cli.studies import STUDIES, results
from dvabatch_cli.studies.claims import ClaimsFile, read_claims

HOLDS, FAILS, MISSING = "holds", "FAILS", "no results"
_STYLES: Final = {HOLDS: "green", FAILS: "red", MISSING: "yellow"}


@app.command(epilog="Example: dvabatch check --from results")
def check(
    source: From = None,
    claims: Annotated[Path | None, typer.Option("--claims", help="A file of claims [configs/claims.json].")] = None,
    as_json: Json = False,
) -> None:
    """Hold every claim against the results that are there: claim, expected, measured, verdict. Nothing is run.

    Exit code 5 says that a claim fails, 2 that none fails but some have no results yet.
    """
    with one_message():
        file = read_claims(claims or find_config("claims.json"))
        rows, lacking = _rows(file, source or RESULTS)
        verdicts = [row["verdict"] for row in rows]
        failed, missing = verdicts.count(FAILS), verdicts.count(MISSING)
        code = Exit.FAILED if failed else Exit.USAGE if missing else Exit.FINE
        if as_json:
            print_json({"claims": rows, "missing": lacking, "exit_code": int(code)})
        else:
            out.print(_table(rows))
            out.print(f"{verdicts.count(HOLDS)} of {len(rows)} claims hold, {failed} fail, {missing} have no results")
            for figure, why in lacking.items():
                err.print(f"{figure}: {why}", style="yellow", markup=False)
        asked = sorted({row["figure"] for row in rows if row["verdict"] == (FAILS if failed else MISSING)})
        say_next(command_of(STUDIES[asked[0]], quick=False) if asked else "look at results/figures", as_json)
        if code is not Exit.FINE:
            raise typer.Exit(code)


def _rows(file: ClaimsFile, folder: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A row for each claim, and why figures have no results."""
    metrics: dict[str, Mapping[str, float]] = {}
    invalid: dict[str, int] = {}
    lacking: dict[str, str] = {}
    for name in dict.fromkeys(claim.figure for claim in file.claims):
        study = STUDIES[name]
        try:
            reports = {run.name: results.read(run, folder, False, command_of(study, False)) for run in study.runs}
        except CommandError as error:
            lacking[name] = str(error)
        else:
            metrics[name] = study.metrics(reports)
            invalid[name] = sum(not run["valid"] for report in reports.values() for run in report["runs"])
    rows = []
    for index, claim in enumerate(file.claims):
        measured = metrics.get(claim.figure, {}).get(claim.metric)
        if claim.figure in metrics and measured is None:
            if not invalid[claim.figure]:
                file.refuse(index, metrics[claim.figure])
            # It may have come of those runs, or be a slip: who reads it can tell.
            hint = did_you_mean(claim.metric, metrics[claim.figure])
            lacking[claim.figure] = (
                f"{invalid[claim.figure]} of its runs are invalid, so that {claim.metric} (claims[{index}].metric) is not known"
                + (f"; {hint}" if hint else "")
            )
        verdict = MISSING if measured is None else HOLDS if claim.holds(measured) else FAILS
        rows.append({**claim.model_dump(mode="json"), "measured": measured, "verdict": verdict})
    return rows, lacking


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="claims", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("claim", "expected", "measured", "verdict"):
        table.add_column(heading, justify="right" if heading in {"expected", "measured"} else "left")
    for row in rows:
        measured = "-" if row["measured"] is None else f"{row['measured']:.4g}"
        table.add_row(Text(row["claim"]), _expected(row), measured, Text(row["verdict"], style=_STYLES[row["verdict"]]))
    return table


def _expected(row: Mapping[str, Any]) -> str:
    sign = {"at_most": "≤", "at_least": "≥", "about": "≈"}[row["direction"]]
    return f"{sign} {row['value']:g}" + (f" ± {row['tolerance']:g}" if row["tolerance"] else "")
