"""`dvabatch report`: the page's file, and what is refused before anything is written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.command import dvabatch, refused, table_config


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dvabatch_cli.experiment.draw_all", lambda report, folder: [])
        config = table_config(folder, baselines=["untuned"])
        assert dvabatch("simulate", config, "-o", folder / "results").code == 0
    return folder / "results"


def test_a_results_folder_becomes_one_page(results: Path, tmp_path: Path) -> None:
    done = dvabatch("report", results, "-o", tmp_path / "new" / "page.html")
    assert done.code == 0
    page = (tmp_path / "new" / "page.html").read_text()
    assert done.out.replace("\n", "").endswith("page.html")
    assert done.err.splitlines()[-1].startswith("Next: open ")
    assert hashlib.sha256((results / "report.json").read_bytes()).hexdigest() in page
    assert "<h1>small</h1>" in page


def test_without_o_it_lies_beside_the_report_and_json_tells_all(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvabatch.reporting.page.page.charts_of", lambda report, say: [])  # as in the test above
    document = dvabatch("report", results / "report.json", "--json").document()
    page = results / "report.html"
    assert document["file"] == str(page)
    assert document["bytes"] == page.stat().st_size
    assert document["report_sha256"] == hashlib.sha256((results / "report.json").read_bytes()).hexdigest()
    assert set(document) == {"file", "bytes", "report_sha256"}


def test_the_report_itself_is_never_written_over(results: Path, tmp_path: Path) -> None:
    before = (results / "report.json").read_bytes()
    assert "wanted a file that ends in .html" in refused(2, "report", results, "-o", results / "report.json")
    (tmp_path / "x.html").mkdir()
    assert "wanted a file that ends in .html" in refused(2, "report", results, "-o", tmp_path / "x.html")
    assert (results / "report.json").read_bytes() == before


def test_a_damaged_report_gives_one_message_and_no_page(results: Path, tmp_path: Path) -> None:
    report = json.loads((results / "report.json").read_text())
    report["runs"][0]["response_cdf_ms"] = [1, 2, 3]
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert "runs[0].response_cdf_ms of the report is" in refused(2, "report", tmp_path)
    (tmp_path / "report.json").write_text("{")
    assert "is not a report" in refused(2, "report", tmp_path)
    assert "check the path" in refused(2, "report", tmp_path / "nowhere")
    assert not (tmp_path / "report.html").exists()
