"""`trace`: a recorded run as a timeline, whose counts are the report's."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dvabatch.reporting import timeline
from tests.cli.command import LOAD, NORMAL, OPERATOR, dvabatch, refused, report_of, table_config
from tests.reporting.chrome import validate

HYBRID = {**LOAD, "scheduler_type": "HYBRID_DVA", "favor_per_stage": [2, 4]}
POLICIES = [NORMAL, LOAD, OPERATOR, HYBRID]
LOADS = {"process": "poisson", "utilization": [0.4, 0.8], "num_requests": 100, "seeds": [1, 2]}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulation of four policies at two loads and two seeds, with its traces."""
    folder = tmp_path_factory.mktemp("traced")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dvabatch_cli.experiment.draw_all", lambda report, folder: [])
        config = table_config(folder, policies=POLICIES, load=LOADS)
        assert dvabatch("simulate", config, "--trace", "-o", folder / "out").code == 0
    return folder / "out"


@pytest.fixture
def mine(results: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(results, tmp_path / "mine"))


def chosen(policy: str = "LOAD_DVA", load: float = 0.8, seed: int = 1) -> list[str]:
    return ["--policy", policy, "--load", str(load), "--seed", str(seed)]


def trace_of(folder: Path, policy: str = "LOAD_DVA", load: str = "80pct") -> Path:
    (file,) = (folder / "traces").glob(f"{policy}-{load}-s1-*.jsonl")
    return file


@pytest.mark.parametrize("policy", ["NORMAL", "LOAD_DVA", "OPERATOR_DVA", "HYBRID_DVA"])
def test_the_counts_of_the_timeline_are_the_reports(results: Path, tmp_path: Path, policy: str) -> None:
    file = tmp_path / "run.perfetto.json"
    done = dvabatch("trace", results, *chosen(policy), "-o", file)
    assert done.code == 0, done.err
    assert f"Next: open {file} in https://ui.perfetto.dev" in done.err
    document = json.loads(file.read_text())
    validate(document)
    (run,) = (
        run
        for run in report_of(results)["runs"]
        if (run["policy"]["name"], run["load"]["utilization"], run["load"]["seed"]) == (policy, 0.8, 1)
    )
    events = document["traceEvents"]
    instants = Counter(event["name"] for event in events if event["ph"] == "i")
    assert {kind: instants[kind] for kind in run["operations"]} == run["operations"]
    launches = Counter(event["pid"] - 2 for event in events if event["ph"] == "X")
    assert [launches[stage["index"]] for stage in run["stages"]] == [stage["launches"] for stage in run["stages"]]
    assert len({event["id"] for event in events if event["ph"] == "s"}) == run["counts"]["completed"]
    assert document["otherData"]["operations"] == run["operations"]
    assert document["otherData"]["policy"] == run["policy"]


def test_a_trace_file_is_a_run_too(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_choice = dvabatch("trace", results, *chosen(), "-o", tmp_path / "a.json", "--json").document()
    by_file = dvabatch("trace", trace_of(results), "-o", tmp_path / "b.json", "--json").document()
    assert {**by_choice, "file": 0} == {**by_file, "file": 0}
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    monkeypatch.chdir(results / "traces")
    assert dvabatch("trace", trace_of(results).name, "-o", tmp_path / "c.json").code == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "c.json").read_bytes()


def test_json_is_one_document_and_nothing_else(results: Path, tmp_path: Path) -> None:
    done = dvabatch("trace", results, *chosen(), "-o", tmp_path / "run.json", "--json")
    assert done.err == ""
    document = done.document()
    assert document["events"] == len(json.loads((tmp_path / "run.json").read_text())["traceEvents"])
    assert (document["whole"], document["queries"], document["from_s"]) == (True, 100, 0)


def test_a_trace_file_of_another_run_than_was_chosen_is_refused(results: Path) -> None:
    assert "another run than" in refused(2, "trace", trace_of(results), "--seed", 2)


def test_a_part_of_a_run(results: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    words = ["trace", results, *chosen(), "-o", file, "--from", "0.005", "--until", "0.01", "--json"]
    document = dvabatch(*words).document()
    assert (document["from_s"], document["until_s"], document["whole"]) == (0.005, 0.01, False)
    assert 0 < document["queries"] < 100
    written = json.loads(file.read_text())
    validate(written)
    assert all(5e3 <= event["ts"] < 1e4 for event in written["traceEvents"] if event["ph"] in "Xi")


@pytest.mark.parametrize("window", [["--from", "2", "--until", "1"], ["--until", "nan"], ["--from", "inf"]])
def test_a_window_without_anything_is_refused(results: Path, tmp_path: Path, window: list[str]) -> None:
    message = refused(2, "trace", results, *chosen(), "-o", tmp_path / "run.json", *window)
    assert "wanted" in message
    assert not (tmp_path / "run.json").exists()


def test_too_many_queries_leave_no_file(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_QUERIES", 50)
    message = refused(2, "trace", results, *chosen(), "-o", tmp_path / "run.json")
    assert "more than 50 queries" in message
    assert "--until" in message
    assert list(tmp_path.iterdir()) == []


def test_several_runs_are_listed_to_choose_from(results: Path, tmp_path: Path) -> None:
    message = refused(2, "trace", results, "-o", tmp_path / "run.json")
    assert "16 traced runs fit; choose one by --policy, --load and --seed" in message
    assert "--policy LOAD_DVA --load 0.4 --seed 2" in message
    assert "and 4 more" in message
    message = refused(2, "trace", results, "--policy", "LOAD_DVA", "--seed", "1", "-o", tmp_path / "run.json")
    assert "2 traced runs fit" in message
    assert message.count("--policy LOAD_DVA --load") == 2
    assert "no traced run fits" in refused(2, "trace", results, "--policy", "NOBODY", "-o", tmp_path / "run.json")


def test_one_traced_run_needs_no_choice(mine: Path, tmp_path: Path) -> None:
    kept = trace_of(mine)
    for file in (mine / "traces").iterdir():
        if file != kept:
            file.unlink()
    assert dvabatch("trace", mine, "-o", tmp_path / "run.json").code == 0


def test_without_traces_it_is_said_how_to_record_them(mine: Path, tmp_path: Path) -> None:
    shutil.rmtree(mine / "traces")
    assert f"dvabatch simulate CONFIG --trace -o {mine}" in refused(2, "trace", mine)


def test_a_trace_that_belongs_to_no_run_is_refused(mine: Path) -> None:
    stray = mine / "traces" / "stray.jsonl"
    trace_of(mine).rename(stray)
    assert "is no trace of a run in" in refused(2, "trace", stray)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{"trace":2', '{"trace":1', "form 1, this version reads form 2"),
        ('"latency_ms":{"1":0.2', '"latency_ms":{"1":0.3', "profile '"),
        ('"limits":[2,8', '"limits":[2,7', "limits [2, 7"),
        ('["LaunchFinished",3]', '["LaunchFinished",999]', "cannot have happened: launch 999 ended"),
        ('["Launch",3,', '["Launch",4,', "does not replay"),
        ('"commands":[]', '"commands":', "is damaged"),
    ],
)
def test_a_trace_that_was_changed_is_refused(mine: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    file = trace_of(mine)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    assert message in " ".join(refused(2, "trace", file, "-o", tmp_path / "run.json").split())
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"null\n", b"{" * 50_000])
def test_what_is_no_trace_is_refused(mine: Path, tmp_path: Path, content: bytes) -> None:
    trace_of(mine).write_bytes(content)
    refused(2, "trace", trace_of(mine), "-o", tmp_path / "run.json")


def test_bytes_that_are_no_text_are_refused_wherever_they_are(mine: Path, tmp_path: Path) -> None:
    file = trace_of(mine)
    file.write_bytes(file.read_bytes() + b"\xff\xfe")
    refused(2, "trace", file, "-o", tmp_path / "run.json")


def test_a_trace_that_is_cut_short_is_not_the_reports_run(mine: Path, tmp_path: Path) -> None:
    file = trace_of(mine)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:50]))
    assert "they are of different runs" in " ".join(refused(2, "trace", file, "-o", tmp_path / "run.json").split())


def test_another_version_is_named_where_a_run_does_not_replay(mine: Path, tmp_path: Path) -> None:
    report = json.loads((mine / "report.json").read_text())
    (mine / "report.json").write_text(json.dumps({**report, "dvabatch_version": "0.0.9"}))
    file = trace_of(mine)
    file.write_text(file.read_text().replace('["Launch",3,', '["Launch",4,', 1))
    assert "recorded by version 0.0.9" in " ".join(refused(2, "trace", file, "-o", tmp_path / "run.json").split())


def test_a_report_whose_config_is_none_is_refused(mine: Path, tmp_path: Path) -> None:
    report: dict[str, Any] = json.loads((mine / "report.json").read_text())
    (mine / "report.json").write_text(json.dumps({**report, "config": {"engine": {"max_batch": -1}}}))
    message = refused(2, "trace", trace_of(mine), "-o", tmp_path / "run.json")
    assert "do not make a run" in " ".join(message.split())


def test_a_measured_run_is_drawn_too(tmp_path: Path) -> None:
    """In real time nothing repeats, but the record does."""
    config = table_config(tmp_path, policies=[LOAD])
    dvabatch("bench", config, "--trace", "-o", tmp_path / "out")
    done = dvabatch("trace", tmp_path / "out", "-o", tmp_path / "run.json", "--json")
    assert done.code == 0, done.err
    validate(json.loads((tmp_path / "run.json").read_text()))
    assert done.document()["operations"] == report_of(tmp_path / "out")["runs"][0]["operations"]
