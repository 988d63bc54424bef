"""`bench`: real engines, an open-loop load, and answers that are proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dvabatch.batching.place import Place
from dvabatch.reporting import validity
from dvabatch.runtime.tensors import TensorTable
from dvabatch_cli.answers import TableReference, Tally
from dvabatch_cli.pacing import quick_pacing
from dvabatch_cli.testbed import RealBed
from engines.base import Array
from engines.errors import EngineError
from engines.onnxruntime import OnnxRuntimeEngine
from tests.cli.command import (
    LOAD,
    NORMAL,
    Done,
    dvabatch,
    ended_well,
    model_config,
    report_of,
    table_config,
)

BURST = {"process": "constant", "request_rate": 50_000, "num_requests": 80}  # all within 1.6 ms
SPLITTING = {"scheduler_type": "OPERATOR_DVA", "favor_per_stage": [1, 2, 1]}
HYBRID = {
    **LOAD, "scheduler_type": "HYBRID_DVA", "favor_per_stage": [2, 4, 2], "max_batch_size": 3,
    "max_allow_merge_batchsize": 8,
}  # fmt: skip


def test_answers_are_proven_for_every_policy(workshop: Path, tmp_path: Path) -> None:
    policies = [NORMAL, {**LOAD, "max_batch_size": 3, "max_allow_merge_batchsize": 8}, SPLITTING, HYBRID]
    done = dvabatch("bench", model_config(tmp_path, policies=policies, load=BURST), "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert ended_well(done, report), done.err
    assert (report["correctness"]["checked"], report["correctness"]["passed"]) == (4 * 64, True)
    assert 0 < report["correctness"]["max_rel_error"] <= 1e-4
    assert "256 checked against the whole model" in " ".join(done.out.split())
    operations = {run["policy"]["scheduler_type"]: run["operations"] for run in report["runs"]}
    assert operations["LOAD_DVA"]["stretch"] > 0 < operations["LOAD_DVA"]["merge"]
    assert operations["OPERATOR_DVA"]["split"] > 0 < operations["OPERATOR_DVA"]["merge"]
    assert operations["HYBRID_DVA"]["split"] > 0 < operations["HYBRID_DVA"]["stretch"]
    for run in report["runs"]:
        assert run["counts"]["completed"] == 80
        assert run["overhead"]["decision_us"]["p50"] > 0
        assert run["load"]["schedule_sha256"] == report["runs"][0]["load"]["schedule_sha256"]
    assert len(list((tmp_path / "out" / "points").glob("*.queries.jsonl"))) == 4
    assert [stage["index"] for stage in report["model"]["stages"]] == [0, 1, 2]


def test_a_point_has_a_twin_in_simulation_at_the_speed_of_the_host(workshop: Path, tmp_path: Path) -> None:
    load = {"process": "poisson", "request_rate": 100, "num_requests": 60}
    made = model_config(tmp_path, policies=[NORMAL], load=load, checks={"sample": 0, "twin": True})
    dvabatch("bench", made, "--set", "load.attempts=1", "-o", tmp_path / "out")
    [run] = report_of(tmp_path / "out")["runs"]
    first, second = run["twin"]["speed"]
    assert min(first, second) > 0
    before, after = run["twin"]["disturbance"]
    assert min(before, after) > 0.5
    speeds, disturbances = abs(second - first) / min(first, second), abs(after - before) / min(before, after)
    assert run["twin"]["steady"] == (speeds <= 0.1 and disturbances <= 0.05)
    assert run["twin"]["operations"]["new"] > 0 < run["twin"]["response_ms"]["mean"]


def test_what_is_missing_is_made_first_and_said(workshop: Path, tmp_path: Path, own_cache: Path) -> None:
    config = model_config(tmp_path, policies=[NORMAL])
    first = dvabatch("bench", config, "-o", tmp_path / "out")
    for said in ("writing tiny_resnet", "slicing tiny_resnet", "built in", "measuring the profile", "capacity"):
        assert said in first.err
    again = dvabatch("bench", config, "-o", tmp_path / "out")
    assert "found in the cache" in again.err
    assert not any(said in again.err for said in ("writing", "slicing", "built in", "measuring the profile"))
    assert report_of(tmp_path / "out")["engine"]["cached"]


@pytest.mark.parametrize("admission", ["pull", "push"])
def test_a_table_is_benched_in_real_time(tmp_path: Path, admission: str) -> None:
    load = {"process": "poisson", "request_rate": 1000, "num_requests": 120, "admission": admission}
    done = dvabatch("bench", table_config(tmp_path, load=load), "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert ended_well(done, report), done.err
    assert [run["admission"] for run in report["runs"]] == [admission] * 2
    assert (report["correctness"]["checked"], report["correctness"]["max_abs_error"]) == (128, 0)
    assert report["model"] is None


def test_a_sample_larger_than_the_run_checks_all_of_it(tmp_path: Path) -> None:
    dvabatch("bench", table_config(tmp_path, policies=[NORMAL], checks={"sample": 1000}), "-o", tmp_path / "out")
    assert report_of(tmp_path / "out")["correctness"]["checked"] == 100


def _no_offset(place: Place) -> Place:
    return place._replace(first_row=0)


def _one_too_few(place: Place) -> Place:
    return place._replace(first_row=max(0, place.first_row - 1))


@pytest.mark.parametrize("mistake", [_no_offset, _one_too_few])
@pytest.mark.parametrize("make_config", [model_config, table_config])
def test_a_wrong_row_offset_makes_the_run_invalid(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[Place], Place],
    make_config: Callable[..., Path],
) -> None:  # fmt: skip
    correct = TensorTable.rows

    def rows(self: TensorTable, place: Place, lane: int, names: tuple[str, ...]) -> dict[str, Array]:
        return correct(self, mistake(place), lane, names)

    stages = 3 if make_config is model_config else 2
    splitting = {"scheduler_type": "OPERATOR_DVA", "favor_per_stage": [8, *[2] * (stages - 1)]}
    config = make_config(tmp_path, policies=[NORMAL, splitting], load=BURST)
    assert report_is_right(dvabatch("bench", config, "-o", tmp_path / "right"), tmp_path / "right")
    monkeypatch.setattr(TensorTable, "rows", rows)
    done = dvabatch("bench", config, "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert done.code == 4
    normal, split = report["runs"]
    assert normal["correctness"]["passed"]  # its batches begin at row 0
    assert not split["valid"]
    assert any("of 64 checked answers are wrong" in reason for reason in split["invalid_reasons"])
    assert not report["correctness"]["passed"]
    assert "WRONG ANSWERS" in " ".join(done.out.split())
    assert "checked answers are wrong" in done.err


def report_is_right(done: Done, folder: Path) -> bool:
    report = report_of(folder)
    return ended_well(done, report) and bool(report["correctness"]["passed"])


def test_tokens_of_neighbours_are_told_apart_however_large(tmp_path: Path) -> None:
    """By value, token 20,001 is within 1e-4 of token 20,000; it is wrong all the same."""
    reference, tally = TableReference(2), Tally(1e-4)
    answers = {20_000: reference.answer(20_000, None), 20_001: reference.answer(20_000, None)}
    assert tally.check(answers, reference, lambda query_id: None, {}) == [20_001]


def test_a_stage_that_raises_sometimes_fails_its_own_queries_and_the_bench_goes_on(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = model_config(tmp_path, policies=[NORMAL, LOAD], load=BURST)
    dvabatch("bench", config, "-o", tmp_path / "right")
    bind, runs = OnnxRuntimeEngine.bind, [0]

    def sometimes(
        self: OnnxRuntimeEngine, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> Callable[[], None]:
        run = bind(self, inputs, outputs)

        def attempt() -> None:
            runs[0] += 1
            if runs[0] % 7 == 0:
                raise EngineError("the stage is hot")
            run()

        return attempt

    monkeypatch.setattr(OnnxRuntimeEngine, "bind", sometimes)
    done = dvabatch("bench", config, "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert done.code == 4
    assert len(report["runs"]) == 2
    for each in report["runs"]:
        counts = each["counts"]
        assert counts["failed"] > 0 < counts["completed"]
        assert counts["completed"] + counts["failed"] == counts["offered"] == 80
        assert each["reasons"] == {"the stage is hot": counts["failed"]}
        assert any("queries failed" in reason for reason in each["invalid_reasons"])
        assert each["correctness"]["passed"]


def test_rejected_queries_are_counted_and_say_why(tmp_path: Path) -> None:
    config = table_config(tmp_path, policies=[{**NORMAL, "max_batch_size": 1, "max_queue": 5}], load=BURST)
    dvabatch("bench", config, "-o", tmp_path / "out")
    (run,) = report_of(tmp_path / "out")["runs"]
    assert run["counts"]["rejected"] > 0 < run["counts"]["completed"]
    assert run["reasons"] == {"queue full (5 waiting)": run["counts"]["rejected"]}


class Counting:
    """How often something was measured; the n-th time, it ends otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, end: BaseException | None = None, at: int = 0) -> None:
        quick_pacing("threaded", "pull")  # once a process, in such a bed too: it is not to be counted
        self.count = 0
        measure = RealBed.run

        def run(bed: RealBed, *words: Any) -> Any:
            self.count += 1
            if end is not None and self.count == at:
                raise end
            return measure(bed, *words)

        monkeypatch.setattr(RealBed, "run", run)


def four_points(tmp_path: Path) -> Path:
    return table_config(
        tmp_path,
        load={"process": "poisson", "request_rate": [3000, 4000], "num_requests": 60, "attempts": 1},
        policies=[NORMAL, LOAD],
    )


@pytest.mark.parametrize(("late", "attempts", "code"), [(2, 3, 0), (3, 3, 4)])
def test_a_point_whose_sender_was_late_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: int, attempts: int, code: int
) -> None:
    config = table_config(tmp_path, policies=[NORMAL], load=BURST)
    counting = Counting(monkeypatch)
    monkeypatch.setattr(validity, "_off_rate", lambda *_: [])
    monkeypatch.setattr(validity, "_late", lambda *_: ["the sender was late"] if counting.count <= late else [])
    done = dvabatch("bench", config, "-o", tmp_path / "out")
    assert (done.code, counting.count) == (code, 3)
    assert done.err.count("the sender was late; measured again") == 2
    (run,) = report_of(tmp_path / "out")["runs"]
    assert (run["attempts"], run["late"], run["valid"]) == (attempts, code != 0, code == 0)


def test_an_interrupted_bench_reports_what_it_has_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, out = four_points(tmp_path), tmp_path / "out"
    with monkeypatch.context() as patch:
        Counting(patch, KeyboardInterrupt(), at=3)
        done = dvabatch("bench", config, "-o", out)
    assert done.code == 130
    assert "interrupted: 2 points are kept; go on with --resume" in done.err
    kept = report_of(out)["runs"]
    assert len(kept) == 2
    counting = Counting(monkeypatch)
    done = dvabatch("bench", config, "-o", out, "--resume")
    report = report_of(out)
    assert ended_well(done, report), done.err
    assert counting.count == 2
    assert done.err.count("kept from before") == 2
    assert report["runs"][:2] == kept
    assert len(report["runs"]) == 4


def test_an_interrupt_before_the_first_new_point_keeps_those_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = four_points(tmp_path), tmp_path / "out"
    dvabatch("bench", config, "-o", out)

    def interrupted(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dvabatch_cli.experiment.contender_of", interrupted)
    done = dvabatch("bench", config, "-o", out, "--resume")
    assert done.code == 130
    assert len(report_of(out)["runs"]) == 4


def test_a_fresh_run_measures_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, counting = four_points(tmp_path), Counting(monkeypatch)
    for _ in range(2):
        dvabatch("bench", config, "-o", tmp_path / "out")
    assert counting.count == 8
    dvabatch("bench", config, "-o", tmp_path / "out", "--resume")
    assert counting.count == 8


def test_a_dry_run_estimates_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    done = dvabatch("bench", four_points(tmp_path), "-o", tmp_path / "out", "--dry-run")
    assert (done.code, counting.count) == (0, 0)
    assert "4 points, results in " in done.err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(tmp_path: Path, own_cache: Path) -> None:
    done = dvabatch("bench", model_config(tmp_path), "-o", tmp_path / "out", "--dry-run")
    assert done.code == 0
    assert "would be made first" in done.err
    assert not own_cache.exists()
    assert not (tmp_path / "out").exists()


def test_json_is_one_document_and_nothing_else(tmp_path: Path) -> None:
    done = dvabatch("bench", table_config(tmp_path), "-o", tmp_path / "out", "--json")
    document = done.document()
    assert document["exit_code"] == done.code
    assert document["correctness"]["passed"]
    assert all(line.startswith("INVALID ") for line in done.err.splitlines())


def test_a_trace_can_be_kept_of_every_point(tmp_path: Path) -> None:
    dvabatch("bench", table_config(tmp_path), "-o", tmp_path / "out", "--trace")
    traces = sorted((tmp_path / "out" / "traces").iterdir())
    points = sorted((tmp_path / "out" / "points").glob("*.queries.jsonl"))
    assert [trace.name.split(".")[0] for trace in traces] == [point.name.split(".")[0] for point in points]


def test_graphs_are_left_out_for_comparison_where_it_is_asked_for(tmp_path: Path) -> None:
    dvabatch("bench", four_points(tmp_path), "--no-cuda-graph", "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert report["config"]["engine"]["cuda_graphs"] is False
