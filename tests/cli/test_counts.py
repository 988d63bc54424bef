"""What `bench` and `simulate` say of queries that got no answer: on the console, to a machine, and on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.command import NORMAL, dvabatch, report_of, table_config
from tests.cli.test_faults import ENGINE_OF_TABLE

REFUSING = {"scheduler_type": "OPERATOR_DVA", "favor_per_stage": [4, 4], "max_queue": 2, "name": "refusing"}
LOAD = {"process": "poisson", "request_rate": 10_000, "num_requests": 600, "seeds": [1, 2, 3, 4, 5]}


def refusing(folder: Path, **more: Any) -> Path:
    """One policy that refuses most of its queries, against a baseline that answers all."""
    return table_config(folder, policies=[REFUSING], baselines=["untuned"], load=LOAD, **more)


def test_a_policy_that_refuses_most_queries_wins_nowhere(tmp_path: Path) -> None:
    done = dvabatch("simulate", refusing(tmp_path), "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    (row,) = report["comparison"]
    assert row["mean_ms"] < row["baseline_mean_ms"]
    assert row["answered"] < 0.9 < row["baseline_answered"] == 1.0
    assert (row["ratio"], row["ratio_ci95"], row["p"], row["p99_ratio"]) == (None,) * 4
    text = " ".join(done.out.split())
    rejected = sum(run["counts"]["rejected"] for run in report["runs"])
    assert f"{100 * row['answered']:.1f} %" in text
    assert "fewer" in text
    assert (
        f"refusing: {rejected:,} of 3,000 queries got no answer, {100 * row['answered']:.1f} % did: {rejected:,} rejected;"
        f' why: {rejected:,} "queue full (2 waiting)"'
    ) in text
    assert "untuned (untuned): " not in text  # it answered all
    dvabatch("report", tmp_path / "out", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert 'class="answer">No: ' in page
    assert "even the best policy answers fewer of the queries" in page
    assert "no ratio of the rest counts" in page


def test_a_machine_reads_the_same(tmp_path: Path) -> None:
    done = dvabatch("simulate", refusing(tmp_path), "-o", tmp_path / "out", "--json")
    document = done.document()
    mine, untuned = document["runs"]
    assert mine["answered"] == document["comparison"][0]["answered"] < 0.9
    assert mine["offered"] == mine["completed"] + mine["unanswered"]["rejected"] == 3000
    assert mine["reasons"] == {"queue full (2 waiting)": mine["unanswered"]["rejected"]}
    assert (untuned["answered"], untuned["unanswered"], untuned["launches_given_up"]) == (1, {}, 0)
    assert document["comparison"][0]["ratio"] is None


def test_faults_are_told_policy_by_policy(tmp_path: Path) -> None:
    faults = [
        {"kind": "fail", "stage": 1, "rate": 0.05},
        {"kind": "hang", "stage": 0, "launch": 10},
        {"kind": "cancel", "rate": 0.1, "after_ms": 0},
    ]
    config = table_config(
        tmp_path, policies=[NORMAL, {**NORMAL, "name": "other"}], faults=faults, engine=ENGINE_OF_TABLE,
        checks={"error_limit": 0.9}, load={"process": "poisson", "request_rate": 500, "num_requests": 200},
    )  # fmt: skip
    done = dvabatch("simulate", config, "-o", tmp_path / "out")
    text = " ".join(done.out.split())
    for run in report_of(tmp_path / "out")["runs"]:
        counts = run["counts"]
        lost = counts["offered"] - counts["completed"]
        assert counts["failed"] > 0 < counts["cancelled"]
        told = f"{run['policy']['name']}: {lost} of 200 queries got no answer, "
        assert told in text
        told = text[text.index(told) :].split("launch given up")[0]
        assert f"{counts['failed']} failed, {counts['cancelled']} cancelled; why: " in told
        assert all(f'{count} "{reason}"' in told for reason, count in run["reasons"].items())
        assert told.endswith("; 1 ")


def test_where_all_are_answered_nothing_is_said_and_a_report_is_next(tmp_path: Path) -> None:
    done = dvabatch("simulate", table_config(tmp_path, baselines=["untuned"]), "-o", tmp_path / "out")
    assert "answered" not in done.out
    assert "no answer" not in done.out
    assert done.err.splitlines()[-1] == f"Next: dvabatch report {tmp_path / 'out'}"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["comparison"][0]["answered"] == 1
