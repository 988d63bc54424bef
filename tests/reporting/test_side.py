from __future__ import annotations

import json
from pathlib import Path

import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.side import open_side
from tests.reporting.saved import MakeMeasured, noisy, save


def test_a_folder_a_report_and_points_alone(tmp_path: Path, make_measured: MakeMeasured) -> None:
    measured = make_measured(n=100)
    folder = save(tmp_path / "a", [measured])
    for path in (folder, folder / "report.json"):
        side = open_side(path)
        (run,) = side.runs
        found = side.responses(run)
        assert found is not None
        assert found.tolist() == measured.queries.response_by_id_ns().tolist()
        assert side.record_bytes(run) > 1000
    (folder / "report.json").unlink()
    (folder / "meta.json").unlink()
    alone = open_side(folder)
    assert alone.report["name"] == "a"
    assert alone.responses(alone.runs[0]) is not None


def test_a_report_without_records(tmp_path: Path, make_measured: MakeMeasured) -> None:
    side = open_side(save(tmp_path / "a", [make_measured(n=50)], records=False))
    assert side.responses(side.runs[0]) is None
    assert side.record_bytes(side.runs[0]) == 0


def test_records_of_a_later_measurement_are_not_taken_for_the_reports(
    tmp_path: Path, make_measured: MakeMeasured
) -> None:
    folder = save(tmp_path / "a", [make_measured(n=50)])
    later = save(tmp_path / "b", [noisy(make_measured(n=50), 1)])
    (folder / "report.json").write_text((later / "report.json").read_text())
    side = open_side(folder)
    assert side.responses(side.runs[0]) is None


def test_records_that_were_changed_are_no_records(tmp_path: Path, make_measured: MakeMeasured) -> None:
    folder = save(tmp_path / "a", [make_measured(n=50)])
    (records,) = (folder / "points").glob("*.queries.jsonl")
    records.write_text(records.read_text().replace('"done_ns":1', '"done_ns":2'))
    side = open_side(folder)
    assert side.responses(side.runs[0]) is None


def test_records_of_fewer_queries_than_the_report_says(tmp_path: Path, make_measured: MakeMeasured) -> None:
    folder = save(tmp_path / "a", [make_measured(n=50)])
    side = open_side(folder)
    (records,) = (folder / "points").glob("*.queries.jsonl")
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:20]))  # while it is being read
    with pytest.raises(ReportError, match="have 20 queries, 20 completed; the report says 50"):
        side.responses(side.runs[0])


def test_a_report_that_nests_without_end(tmp_path: Path, make_measured: MakeMeasured) -> None:
    folder = save(tmp_path / "a", [make_measured(n=50)])
    text = (folder / "report.json").read_text()
    deep = text.replace('"max_batch_size": 1', '"max_batch_size": ' + "[" * 700 + "]" * 700)
    assert deep != text
    (folder / "report.json").write_text(deep)
    with pytest.raises(ReportError, match=r"nests values without end|is not a report"):
        open_side(folder)


def test_what_is_no_report(tmp_path: Path, make_measured: MakeMeasured) -> None:
    with pytest.raises(ReportError, match="cannot read a report"):
        open_side(tmp_path / "nowhere")
    folder = save(tmp_path / "a", [make_measured(n=50)])
    (folder / "report.json").unlink()
    (summary,) = (folder / "points").glob("*.json")
    point = json.loads(summary.read_text())
    del point["run"]["policy"]
    summary.write_text(json.dumps(point))
    with pytest.raises(ReportError, match=r"runs\[0\] has no policy.scheduler_type"):
        open_side(folder)
