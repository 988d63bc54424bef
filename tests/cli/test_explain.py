"""`explain`: where a query's time went, to the nanosecond, and what it would have taken without each operation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from dvabatch.reporting.points import load_queries
from tests.cli.command import LOAD, NORMAL, OPERATOR, dvabatch, ended_well, refused, report_of, table_config

POLICIES = [NORMAL, LOAD, OPERATOR]
LOADS = {"process": "poisson", "utilization": [0.8], "num_requests": 100, "seeds": [1]}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dvabatch_cli.experiment.draw_all", lambda report, folder: [])
        config = table_config(folder, policies=POLICIES, load=LOADS)
        assert dvabatch("simulate", config, "--trace", "-o", folder / "out").code == 0
    return folder / "out"


def explained(folder: Path, policy: str, *words: object) -> Any:
    done = dvabatch("explain", folder, "--policy", policy, "--json", *words)
    assert done.code == 0, done.err
    assert done.err == ""
    return done.document()


def whole(account: dict[str, Any]) -> None:
    """Segments follow each other from the arrival to the end."""
    at_ns = 0
    for segment in account["segments"]:
        assert segment["begin_ns"] == at_ns
        at_ns += segment["lasted_ns"]
    assert at_ns == account["response_ns"] == sum(account["totals_ns"].values())


@pytest.mark.parametrize("policy", ["NORMAL", "LOAD_DVA", "OPERATOR_DVA"])
def test_the_slowest_are_the_records_slowest(results: Path, policy: str) -> None:
    document = explained(results, policy, "--slowest", 10)
    responses = load_queries(results, document["point"]).response_by_id_ns()
    assert [each["response_ns"] for each in document["slowest"]] == sorted(responses.tolist(), reverse=True)[:10]
    for account in document["slowest"]:
        whole(account)
        assert account["response_ns"] == responses[account["query"]]
        assert account["largest"]["lasted_ns"] == max(each["lasted_ns"] for each in account["segments"])
    assert document["mean_response_ns"] == pytest.approx(responses.mean())


def test_one_query_with_and_without_its_operations(results: Path) -> None:
    report = report_of(results)
    (run,) = (run for run in report["runs"] if run["policy"]["name"] == "LOAD_DVA")
    seen = set()
    for query in range(0, 100, 25):
        document = explained(results, "LOAD_DVA", query)
        whole(document)
        kinds = [each["kind"] for each in document["operations"] if each["kind"] != "new"]
        assert [row["kind"] for row in document["without"]] == kinds
        if not kinds:
            assert document["simulated"] is None
            continue
        seen.update(kinds)
        assert document["simulated"]["response_ns"] == document["response_ns"], "the simulation is the recorded run"
        assert document["simulated"]["run_operations"] == run["operations"]
        assert document["simulated"]["mean_ns"] / 1e6 == pytest.approx(run["response_ms"]["mean"])
        for row in document["without"]:
            assert row["response_ns"] > 0
            assert row["run_operations"][row["kind"]] != 0
            assert row["response_ns"] != document["response_ns"] or row["mean_ns"] != document["simulated"]["mean_ns"]
    assert seen >= {"stretch", "merge"}


def test_for_people(results: Path) -> None:
    document = explained(results, "LOAD_DVA", "--slowest", 100)
    query = next(each["query"] for each in document["slowest"] if len(each["operations"]) > 2)
    done = dvabatch("explain", results, query, "--policy", "LOAD_DVA")
    assert done.code == 0, done.err
    for words in (f"query {query} of LOAD_DVA at 80 %, seed 1: completed after", "where the time went", "took part in",
                  "without each operation, simulated", "nothing: as it was", "the run's mean is"):  # fmt: skip
        assert words in " ".join(done.out.split()), words
    assert "simulating the run without each of" in done.err
    assert "--slowest 10" in done.err.splitlines()[-1]
    listed = dvabatch("explain", results, "--policy", "LOAD_DVA", "--slowest", 3)
    assert "the slowest, in ms" in listed.out
    worst = document["slowest"][0]["query"]
    assert listed.err.splitlines()[-1].endswith(f".jsonl {worst}")


def test_ordinary_batching_has_nothing_to_take_away(results: Path) -> None:
    document = explained(results, "NORMAL", 5)
    assert [each["kind"] for each in document["operations"]] == ["new"]
    assert (document["simulated"], document["without"], document["left_out"]) == (None, [], 0)
    assert "without each operation" not in dvabatch("explain", results, 5, "--policy", "NORMAL").out


def test_operations_without_end_are_cut_and_said(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvabatch_cli.what_if._MOST", 1)
    document = explained(results, "LOAD_DVA", "--slowest", 100)
    query = next(each["query"] for each in document["slowest"] if len(each["operations"]) > 2)
    cut = explained(results, "LOAD_DVA", query)
    assert len(cut["without"]) == 1
    assert cut["left_out"] > 0
    assert "further operations are left out" in dvabatch("explain", results, query, "--policy", "LOAD_DVA").out


def test_a_query_that_was_rejected_says_why(tmp_path: Path) -> None:
    config = table_config(
        tmp_path, policies=[{**NORMAL, "max_queue": 1, "max_batch_size": 1}], load={**LOADS, "utilization": [3]}
    )
    dvabatch("simulate", config, "--trace", "-o", tmp_path / "out")
    (point,) = (file.stem for file in (tmp_path / "out" / "traces").iterdir())
    records = load_queries(tmp_path / "out", point)
    query = records.status.tolist().index(2)
    done = dvabatch("explain", tmp_path / "out", query)
    assert f"query {query} of NORMAL at 300 %, seed 1: rejected after 0.000 ms (queue full (1 waiting))" in " ".join(
        done.out.split()
    )


@pytest.mark.parametrize("words", [[], ["3", "--slowest", "2"]])
def test_one_query_or_the_slowest_is_wanted(results: Path, words: list[str]) -> None:
    assert "--slowest N" in refused(2, "explain", results, *words)


@pytest.mark.parametrize("query", [100, 10**30])
def test_a_query_that_is_not_there_is_refused(results: Path, query: int) -> None:
    assert "has queries 0 to 99" in refused(2, "explain", results, query, "--policy", "NORMAL")


def test_a_measured_run_is_explained_to_the_nanosecond(tmp_path: Path) -> None:
    config = table_config(tmp_path, policies=[LOAD])
    assert ended_well(dvabatch("bench", config, "--trace", "-o", tmp_path / "out"), report_of(tmp_path / "out"))
    document = explained(tmp_path / "out", "LOAD_DVA", "--slowest", 100)
    responses = load_queries(tmp_path / "out", document["point"]).response_by_id_ns()
    assert len(document["slowest"]) == 100
    for account in document["slowest"]:
        whole(account)
        assert account["response_ns"] == responses[account["query"]]
    assert {"unseen", "computed", "answered"} <= {what for each in document["slowest"] for what in each["totals_ns"]}
    shown = dvabatch("explain", tmp_path / "out", 0)
    assert "the run itself was measured" in " ".join(shown.out.split())


def test_a_trace_cut_short_does_not_say_how_a_query_ended(results: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(results, tmp_path / "mine"))
    (file,) = (mine / "traces").glob("LOAD_DVA*")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:20]))
    assert "it is cut short" in " ".join(refused(2, "explain", file, 95).split())


def test_another_schedule_in_the_records_is_refused(results: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(results, tmp_path / "mine"))
    (records,) = (mine / "points").glob("LOAD_DVA*.queries.jsonl")
    first, *rest = records.read_text().splitlines(keepends=True)
    assert '"arrival_ns":' in first
    arrival = first.split('"arrival_ns":')[1].split(",")[0]
    records.write_text("".join([first.replace(f'"arrival_ns":{arrival}', f'"arrival_ns":{int(arrival) - 1}'), *rest]))
    assert "is another one in" in " ".join(refused(2, "explain", mine, 0, "--policy", "LOAD_DVA").split())
