"""`simulate`: the same config in virtual time, and the same report byte for byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dvabatch.reporting.points import load_points, load_queries
from dvabatch.reporting.summary import latency_numbers
from tests.cli.command import LOAD, NORMAL, OPERATOR, dvabatch, report_of, table_config

POLICIES = [NORMAL, LOAD, OPERATOR, {**LOAD, "scheduler_type": "HYBRID_DVA", "favor_per_stage": [2, 4]}]
LOADS = {"process": "poisson", "utilization": [0.4, 0.8], "num_requests": 400, "seeds": [1, 2]}


def digests(folder: Path) -> dict[str, str]:
    """Every file that may not differ between two runs."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix in {".json", ".jsonl"} and file.name != "meta.json"
    }


def test_the_same_config_gives_the_same_report_byte_for_byte(tmp_path: Path) -> None:
    config = table_config(tmp_path, policies=POLICIES, load=LOADS, baselines=["untuned"])
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        assert dvabatch("simulate", config, "-o", folder).code == 0
    assert digests(folders[0]) == digests(folders[1])
    report = report_of(folders[0])
    assert len(report["runs"]) == 2 * 2 * 5
    assert len(digests(folders[0])) == 2 * len(report["runs"]) + 2  # and the report, and which config it is of
    assert report["correctness"] is None
    assert all(run["overhead"]["decision_us"] is None for run in report["runs"])


def test_another_seed_gives_another_report(tmp_path: Path) -> None:
    config = table_config(tmp_path)
    for seed in (1, 2):
        assert dvabatch("simulate", config, "--set", f"load.seeds=[{seed}]", "-o", tmp_path / str(seed)).code == 0
    assert digests(tmp_path / "1")["report.json"] != digests(tmp_path / "2")["report.json"]


def test_every_contender_meets_the_same_schedule_and_is_compared(tmp_path: Path) -> None:
    config = table_config(tmp_path, policies=[NORMAL, LOAD], load={**LOADS, "num_requests": 50}, baselines=["untuned"])
    dvabatch("simulate", config, "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    met = {(run["load"]["utilization"], run["load"]["seed"], run["load"]["schedule_sha256"]) for run in report["runs"]}
    assert len(met) == 4
    assert len(report["comparison"]) == 2 * 2


def test_ordinary_batching_serves_in_one_launch_and_says_so(tmp_path: Path) -> None:
    dvabatch("simulate", table_config(tmp_path, policies=[NORMAL, LOAD], load=LOADS), "-o", tmp_path / "out")
    served = {run["policy"]["scheduler_type"]: run["served_whole"] for run in report_of(tmp_path / "out")["runs"]}
    assert served["NORMAL"] == 1
    assert 0 <= served["LOAD_DVA"] < 1


def test_the_operations_happen(tmp_path: Path) -> None:
    dvabatch("simulate", table_config(tmp_path, policies=POLICIES, load=LOADS), "-o", tmp_path / "out")
    done: dict[str, set[str]] = {}
    for run in report_of(tmp_path / "out")["runs"]:
        done.setdefault(run["policy"]["scheduler_type"], set()).update(
            name for name, count in run["operations"].items() if count
        )
    assert done["NORMAL"] == {"new"}
    assert done["LOAD_DVA"] >= {"new", "stretch", "merge", "hold"}
    assert done["OPERATOR_DVA"] >= {"new", "split", "merge"}
    assert done["HYBRID_DVA"] >= {"new", "stretch", "split", "merge"}


def test_every_figure_follows_from_the_records_beside_it(tmp_path: Path) -> None:
    dvabatch("simulate", table_config(tmp_path), "-o", tmp_path / "out")
    points = load_points(tmp_path / "out")
    assert len(points) == 2
    for key, run in points.items():
        records = (tmp_path / "out" / "points" / f"{key}.queries.jsonl").read_text().splitlines()
        assert len(records) == run["counts"]["offered"] == 100
        assert all(isinstance(json.loads(record), dict) for record in records)
        again = latency_numbers(load_queries(tmp_path / "out", key), slo_ms=None)
        assert {name: run[name] for name in again} == again


def test_values_can_be_set_from_the_line(tmp_path: Path) -> None:
    done = dvabatch(
        "simulate", table_config(tmp_path), "-o", tmp_path / "out", "--json",
        "--set", "load.num_requests=37", "--set", 'policies=[{"scheduler_type": "NORMAL", "instances": 2}]',
        "--set", "load.request_rate=[500, 1000]",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = report_of(tmp_path / "out")
    assert [run["counts"]["offered"] for run in report["runs"]] == [37, 37]
    assert [run["load"]["request_rate_rps"] for run in report["runs"]] == [500, 1000]
    assert report["config"]["policies"][0]["instances"] == 2


def test_json_is_one_document_and_nothing_else(tmp_path: Path) -> None:
    done = dvabatch("simulate", table_config(tmp_path), "-o", tmp_path / "out", "--json")
    document = done.document()
    assert done.err == ""
    assert (document["folder"], document["exit_code"]) == (str(tmp_path / "out"), 0)
    assert [run["policy"] for run in document["runs"]] == ["NORMAL", "LOAD_DVA"]


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path) -> None:
    config = table_config(tmp_path)
    done = dvabatch("simulate", config, "-o", tmp_path / "out", "--dry-run")
    assert done.code == 0
    assert "2 points, results in " in done.err
    assert "nothing was measured" in done.err
    assert not (tmp_path / "out").exists()


def test_a_quick_run_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = table_config(tmp_path, load={**LOADS, "utilization": [0.2, 0.4, 0.6]})
    assert dvabatch("simulate", config, "--quick").code == 0
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name == "small_quick_simulated"
    assert {run["load"]["utilization"] for run in report_of(folder)["runs"]} == {0.2, 0.6}


def test_the_swept_baseline_is_found_in_simulation_and_measured(tmp_path: Path) -> None:
    """The best three of the grid, with settings that the engines of this config can run."""
    engine = {"backend": "table", "table": "table.json", "max_batch": 2, "executors_per_stage": 1}
    config = table_config(tmp_path, baselines=["swept"], policies=[LOAD], engine=engine)
    done = dvabatch("simulate", config, "-o", tmp_path / "out", "--quick")
    assert done.code == 0, done.err
    swept = [run["policy"] for run in report_of(tmp_path / "out")["runs"] if run["role"] == "swept"]
    assert len(swept) == 3
    assert all(policy["max_batch_size"] <= 2 and policy["instances"] == 1 for policy in swept)


@pytest.mark.usefixtures("figures")
def test_plot_redraws_from_the_report_alone(tmp_path: Path) -> None:
    dvabatch("simulate", table_config(tmp_path), "-o", tmp_path / "out")
    drawn = {file.name for file in (tmp_path / "out").iterdir() if file.suffix in {".png", ".svg", ".pdf"}}
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "report.json").write_bytes((tmp_path / "out" / "report.json").read_bytes())
    redrawn = dvabatch("plot", alone / "report.json", "--json").document()["files"]
    assert {Path(file).name for file in redrawn} == drawn
    assert drawn
    assert all(Path(file).stat().st_size > 1000 for file in redrawn)
    elsewhere = dvabatch("plot", alone, "-o", tmp_path / "figures")
    assert elsewhere.code == 0
    assert {file.name for file in (tmp_path / "figures").iterdir()} == drawn
