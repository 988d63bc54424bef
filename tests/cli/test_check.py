"""`dvabatch check`: verdicts, exit codes, and claims that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dvabatch_cli.studies import STUDIES
from dvabatch_cli.studies.claims import Claim, read_claims
from tests.cli.command import dvabatch, refused
from tests.cli.studies import small_study
from tests.readme.page import ROOT

METRIC = "load_dva_over_untuned.small.20"


def claim(**changes: Any) -> dict[str, Any]:
    return {"claim": "sooner", "figure": "latency", "metric": METRIC, "direction": "at_most", "value": 0.99, **changes}


def written(folder: Path, *claims: dict[str, Any]) -> Path:
    file = folder / "claims.json"
    file.write_text("// claims\n" + json.dumps({"claims": list(claims)}, indent=1))
    return file


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the results of a small study, which takes the place of all figures."""
    monkeypatch.chdir(tmp_path)
    studies = {"latency": small_study(tmp_path), "peak": STUDIES["peak"]}
    for module in ("dvabatch_cli.figure", "dvabatch_cli.check", "dvabatch_cli.studies.claims"):
        monkeypatch.setattr(f"{module}.STUDIES", studies)
    assert dvabatch("figure", "latency").code == 0
    return tmp_path


def test_a_claim_that_holds_exits_0_and_one_that_fails_5(results: Path) -> None:
    done = dvabatch("check", "--claims", written(results, claim()))
    assert done.code == 0, done.out
    assert "1 of 1 claims hold, 0 fail, 0 have no results" in done.out
    failing = dvabatch("check", "--claims", written(results, claim(), claim(value=0.0)), "--json")
    assert failing.code == 5
    rows = failing.document()["claims"]
    assert [row["verdict"] for row in rows] == ["holds", "FAILS"]
    metrics = json.loads((results / "results" / "figures" / "latency.json").read_text())["metrics"]
    assert rows[0]["measured"] == pytest.approx(metrics[METRIC])


def test_a_claim_without_results_never_passes(results: Path) -> None:
    (results / "results" / "small").rename(results / "elsewhere")
    done = dvabatch("check", "--claims", written(results, claim()))
    assert done.code == 2
    assert "no results" in done.out
    assert "`dvabatch figure latency` makes it" in done.err


def test_a_number_that_invalid_runs_take_away_is_no_unknown_one(results: Path) -> None:
    file = results / "results" / "small" / "report.json"
    report = json.loads(file.read_text())
    report["runs"][0]["valid"] = False
    report["comparison"] = []
    file.write_text(json.dumps(report))
    done = dvabatch("check", "--claims", written(results, claim()))
    assert done.code == 2
    assert f"1 of its runs are invalid, so that {METRIC} (claims[0].metric) is not known" in " ".join(done.err.split())


def test_an_unknown_figure_is_refused_where_it_stands(results: Path) -> None:
    file = written(results, claim(), claim(figure="latancy"))
    said = refused(2, "check", "--claims", file)
    assert said.startswith(f'{file}:13: claims[1].figure: got "latancy", wanted one of "latency", "peak"')
    assert 'did you mean "latency"?' in said


def test_an_unknown_metric_is_refused_with_the_nearest(results: Path) -> None:
    file = written(results, claim(metric="load_dva_over_untuned.smal.20"))
    said = refused(2, "check", "--claims", file)
    assert said.startswith(f"{file}:7: claims[0].metric: got ")
    assert f'wanted a metric of the figure latency: did you mean "{METRIC}"?' in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"direction": "below"}, "claims[0].direction: got \"below\", wanted 'at_most', 'at_least' or 'about'"),
        ({"value": "1"}, 'claims[0].value: got "1", wanted a number'),
        ({"values": 1}, 'claims[0].values: got an unknown key, wanted one of "claim", "figure"'),
        ({"tolerance": -1.0}, "claims[0].tolerance: got -1.0, wanted greater than or equal to 0"),
    ],
)
def test_a_malformed_claim_is_refused_by_line_and_path(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert said in refused(2, "check", "--claims", written(tmp_path, claim(**changes)))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "claims.json"
    file.write_text('{ "claims": [ { "claim": "x" } ] }')
    said = refused(2, "check", "--claims", file)
    assert "claims[0].figure: got nothing, wanted a value: it is required" in said
    assert "such file" in refused(2, "check", "--claims", tmp_path / "none.json").lower()


@pytest.mark.parametrize(
    ("direction", "tolerance", "holds"),
    [
        ("at_most", 0.0, [True, True, False]),
        ("at_most", 0.1, [True, True, True]),
        ("at_least", 0.0, [False, True, True]),
        ("at_least", 0.1, [True, True, True]),
        ("about", 0.05, [False, True, False]),
    ],
)
def test_directions_and_tolerances(direction: Any, tolerance: float, holds: list[bool]) -> None:
    asked = Claim(claim="x", figure="latency", metric="m", direction=direction, value=1.0, tolerance=tolerance)
    assert [asked.holds(measured) for measured in (0.9375, 1.0, 1.0625)] == holds


def test_the_shipped_claims_are_about_figures_that_exist() -> None:
    claims = read_claims(ROOT / "configs" / "claims.json").claims
    assert len({(each.figure, each.metric) for each in claims}) == len(claims)
    loads = {each.metric for each in claims if each.metric.startswith("auto_over_swept.")}
    assert loads == {
        f"auto_over_swept.{network}.{load}"
        for network in ("resnet_152", "unet", "bert_base")
        for load in (10, 20, 30, 50, 70, 85, 95, "bursts_20", "bursts_200", "steps")
    }
