from __future__ import annotations

import copy
import io
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from dvabatch.reporting.comparison_answers import comparison_of
from dvabatch.reporting.table import comparison_table, run_rows, runs_table


def shown(table: Table) -> str:
    text = io.StringIO()
    Console(file=text, width=100, color_system=None).print(table)
    return text.getvalue()


def test_the_runs_fit_a_hundred_columns_uncut(report: dict[str, Any]) -> None:
    text = shown(runs_table(report))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for wanted in ("NORMAL batch=2", "(untuned)", "hybrid, one at a", "30 %", "120 %", "saturated", "new 3000"):
        assert wanted in text


def test_a_name_is_no_markup(report: dict[str, Any]) -> None:
    odd = copy.deepcopy(report)
    odd["name"] = "[red]x[/red]"
    for run in odd["runs"]:
        run["policy"]["name"] = "[bold]y"
    odd["comparison"][0]["policy"] = "[/z]"
    text = shown(runs_table(odd)) + shown(comparison_table(odd))
    assert all(name in text for name in ("[red]x[/red]", "[bold]y", "[/z]"))


def test_a_percentile_without_support_says_what_it_needs(report: dict[str, Any]) -> None:
    few = copy.deepcopy(report)
    for run in few["runs"]:
        run["response_ms"]["p99"] = None
        run["valid"] = False
        run["goodput_rps"] = None
    text = shown(runs_table(few))
    assert "n/a" in text
    assert "368)" in text
    assert "INVALID" in text
    assert "in SLO" not in text


def test_stages_show_apart_where_their_batches_differ(report: dict[str, Any]) -> None:
    split = copy.deepcopy(report)
    split["runs"] = split["runs"][:1]
    for stage, rows in zip(split["runs"][0]["stages"], ("8", "4", "8"), strict=True):
        stage["batch_histogram"] = {rows: 10}
    assert "8.0 4.0 8.0" in shown(runs_table(split))


def test_the_comparison_fits_too(report: dict[str, Any]) -> None:
    text = shown(comparison_table(report))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "fewer than 5 seeds" in text
    row = comparison_of(report)[0]
    assert f"{row['ratio']:.3f}" in text


def test_missing_numbers_are_dashes(report: dict[str, Any]) -> None:
    bare = copy.deepcopy(report)
    bare["comparison"] = bare["comparison"][:1]
    bare["comparison"][0] |= {"ratio": None, "ratio_ci95": None, "p": None, "p99_ratio": None, "valid": False}
    text = shown(comparison_table(bare))
    assert "-" in text
    assert "INVALID" in text


def test_rows_are_plain(report: dict[str, Any]) -> None:
    rows = run_rows(report)
    assert len(rows) == 20
    json.dumps([rows, comparison_of(report)], allow_nan=False)
    first = rows[0]
    assert (first["policy"], first["role"], first["utilization"], first["seeds"]) == (
        "NORMAL batch=2 (untuned)",
        "untuned",
        0.3,
        3,
    )
    assert first["mean_ci95_ms"][0] < first["mean_ms"] < first["mean_ci95_ms"][1]


def refusing(report: dict[str, Any]) -> dict[str, Any]:
    """The same with a policy that answers half of what it is asked."""
    half = copy.deepcopy(report)
    for run in half["runs"]:
        if run["policy"]["scheduler_type"] == "LOAD_DVA":
            run["counts"] |= {"completed": 500, "rejected": 500}
    for row in half["comparison"]:
        if row["policy"] == "LOAD_DVA":
            row["answered"] = 0.5
    return half


def test_the_share_answered_is_shown_where_not_all_were_and_fits(report: dict[str, Any]) -> None:
    assert "answered" not in shown(runs_table(report))
    text = shown(runs_table(refusing(report)))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert text.count("50.0 %") == 4
    assert text.count("100 %") == 4 * 4
    assert [row["answered"] for row in run_rows(refusing(report)) if row["policy"] == "LOAD_DVA"] == [0.5] * 4


def test_a_comparison_of_who_answers_fewer_says_so(report: dict[str, Any]) -> None:
    assert "fewer" not in shown(comparison_table(report)).replace("fewer than 5 seeds", "")
    text = " ".join(shown(comparison_table(refusing(report))).split())
    assert text.count("fewer") == 1 + 4 * 2
