from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dvabatch.reporting.canonical import plain
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.report import read_report, write_report

SCHEMA = Path(__file__).parents[2] / "configs" / "schema" / "report.schema.json"
META = {"created_at": "2024-05-01T12:00:00Z", "command": "dvabatch simulate queue.json", "environment": {"cpu": "x"}}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_it_reads_back_from_the_folder_and_from_the_file(report: dict[str, Any], tmp_path: Path) -> None:
    path = write_report(tmp_path / "results", report, META)
    assert path == tmp_path / "results" / "report.json"
    found = read_report(tmp_path / "results")
    assert found == read_report(path) == plain(report | META)
    assert list(found)[:5] == ["schema_version", "name", "created_at", "command", "environment"]
    assert path.read_text().startswith('{\n "schema_version": "1.0",\n "name": "queue",\n "dvabatch_version"')


def test_two_runs_of_one_simulation_differ_only_in_their_meta_data(report: dict[str, Any], tmp_path: Path) -> None:
    one = write_report(tmp_path / "one", report, META)
    turned = json.loads(json.dumps(report))
    turned = {key: turned[key] for key in reversed(turned)}
    other = write_report(tmp_path / "two", turned, META | {"created_at": "later"})
    assert one.read_bytes() == other.read_bytes()
    assert read_report(tmp_path / "two")["created_at"] == "later"


def test_what_was_read_may_be_written_again(report: dict[str, Any], tmp_path: Path) -> None:
    one = write_report(tmp_path / "one", report, META)
    other = write_report(tmp_path / "two", read_report(tmp_path / "one"), {})
    assert one.read_bytes() == other.read_bytes()
    assert one.with_name("meta.json").read_bytes() == other.with_name("meta.json").read_bytes()


def test_without_meta_data_it_still_reads(report: dict[str, Any], tmp_path: Path) -> None:
    path = write_report(tmp_path, report, META)
    path.with_name("meta.json").unlink()
    found = read_report(path)
    assert (found["created_at"], found["environment"]) == (None, {})


def test_it_follows_its_schema(
    report: dict[str, Any], tmp_path: Path, validator: jsonschema.Draft202012Validator
) -> None:
    path = write_report(tmp_path, report, META)
    validator.validate(json.loads(path.read_text()))
    validator.validate(read_report(path))


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report.update(schema_version="2.0"),
        lambda report: report.update(extra=1),
        lambda report: report["runs"][0].pop("saturated"),
        lambda report: report["runs"][0].update(extra=1),
        lambda report: report["runs"][0]["counts"].update(offered=-1),
        lambda report: report["runs"][0]["response_ms"].update(p99="n/a"),
        lambda report: report["runs"][0]["response_ms"].update(mean_ci95=[1.0]),
        lambda report: report["runs"][0]["response_cdf_ms"].pop(),
        lambda report: report["runs"][0]["stages"][0]["batch_histogram"].update({"0": 1}),
        lambda report: report["comparison"][0].update(p=2.0),
    ],
)
def test_the_schema_refuses_what_is_not_a_report(
    report: dict[str, Any], validator: jsonschema.Draft202012Validator, change: Any
) -> None:
    wrong = copy.deepcopy(report)
    validator.validate(wrong)
    change(wrong)
    assert not validator.is_valid(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "2.0"}, "has schema_version 2.0, this dvabatch reads up to 1.x: upgrade"),
        ({"schema_version": 1.0}, "is not a report"),
        ({"schema_version": "one"}, "is not a report"),
        ({"runs": None}, "no list of runs"),
        ({"runs": [{}]}, r"runs\[0\] has no policy.scheduler_type"),
        ({"runs": [3]}, r"runs\[0\] has no policy.scheduler_type"),
    ],
)
def test_what_cannot_be_read_says_why(
    report: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report | change))
    with pytest.raises(ReportError, match=message):
        read_report(tmp_path)


def test_a_newer_minor_version_reads(report: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report | {"schema_version": "1.7", "news": 1}))
    assert read_report(tmp_path)["news"] == 1


@pytest.mark.parametrize("value", [True, "1.0", [1]])
def test_a_field_of_another_type_is_named(report: dict[str, Any], tmp_path: Path, value: object) -> None:
    wrong = copy.deepcopy(report)
    wrong["runs"][1]["response_ms"]["mean"] = value
    (tmp_path / "report.json").write_text(json.dumps(wrong))
    with pytest.raises(ReportError, match=r"runs\[1\]\.response_ms\.mean is .*, wanted int or float or null"):
        read_report(tmp_path)


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"cannot read a report .*report\.json: No such file"):
        read_report(tmp_path)


def test_nothing_is_written_of_a_report_that_cannot_be(report: dict[str, Any], tmp_path: Path) -> None:
    for wrong, meta in ((report | {"config": {"x": float("nan")}}, META), (report, {"hostname": "x"})):
        with pytest.raises(ReportError, match=r"report\.config\.x is nan|hostname"):
            write_report(tmp_path, wrong, meta)
    assert list(tmp_path.iterdir()) == []
