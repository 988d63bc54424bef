"""`compare`: two sets of results, a verdict, and exit codes; nothing is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.command import LOAD, NORMAL, TABLE, dvabatch, refused, table_config

POLICIES = [NORMAL, LOAD]
LOADS = {"process": "poisson", "request_rate": [800, 2000], "num_requests": 400, "seeds": [1, 2, 3, 4, 5]}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`before`, and `after` on a device that takes 5 % longer; neither is changed by a test."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dvabatch_cli.experiment.draw_all", lambda report, folder: [])
        for name, slower in (("before", 1.0), ("after", 1.05)):
            stages = [
                {"latency_ms": {"1": 0.2 * slower, "8": 0.4 * slower}, "share": {"1": 0.4, "8": 0.9}} for _ in range(2)
            ]
            table = {**TABLE, "stages": stages}
            config = table_config(folder, table=table, policies=POLICIES, load=LOADS)
            assert dvabatch("simulate", config, "-o", folder / name).code == 0
    return folder


def test_a_run_with_itself(results: Path) -> None:
    done = dvabatch("compare", results / "before", results / "before")
    assert done.code == 0
    assert done.out.count("no difference") == 5  # in each row, and in all
    assert "no difference: 4 of 4" in done.out
    assert done.err.splitlines()[-1] == f"Next: dvabatch report {results / 'before'}"
    assert "4 comparisons" in done.err


def test_what_is_slower_is_found_from_records_and_from_reports(results: Path, tmp_path: Path) -> None:
    for name in ("before", "after"):
        shutil.copytree(results / name, tmp_path / name, ignore=shutil.ignore_patterns("points"))
    whole = dvabatch("compare", results / "before", results / "after", "--json").document()
    bare = dvabatch("compare", tmp_path / "before" / "report.json", tmp_path / "after", "--json").document()
    for document in (whole, bare):
        assert [row["verdict"] for row in document["rows"]] == ["slower"] * 4
        assert document["verdict"] == "slower: 4 of 4"
        assert document["exit_code"] == 0
    for row, other in zip(whole["rows"], bare["rows"], strict=True):
        assert row["ratios"]["mean"]["ratio"] == pytest.approx(other["ratios"]["mean"]["ratio"], rel=1e-4)
        assert row["permutation_p"] < 0.05
        assert other["permutation_p"] is None
        assert row["in_words"].startswith(f"{row['policy']} at ")
    assert dvabatch("compare", results / "after", results / "before").out.count("faster") == 5


def test_the_gate_and_its_exit_code(results: Path) -> None:
    failed = dvabatch("compare", results / "before", results / "after", "--fail-if-slower", "3%")
    assert failed.code == 5
    assert "FAILED: NORMAL at 800 rps: slower: mean +6." in failed.err
    assert dvabatch("compare", results / "before", results / "after", "--fail-if-slower", "50%").code == 0
    assert dvabatch("compare", results / "after", results / "before", "--fail-if-slower", "3%").code == 0
    document = dvabatch("compare", results / "before", results / "after", "--fail-if-slower", "3%", "--json").document()
    assert (document["exit_code"], document["fail_if_slower"]) == (5, 0.03)


def test_two_policies_of_one_folder(results: Path) -> None:
    done = dvabatch("compare", results / "before", "--policy", "LOAD_DVA", "--against", "NORMAL", "--json")
    rows = done.document()["rows"]
    assert [(row["policy"], row["against"], row["runs"]) for row in rows] == [("LOAD_DVA", "NORMAL", 5)] * 2
    assert not done.document()["measured_apart"]
    own = json.loads((results / "before" / "report.json").read_text())
    means = {(run["policy"]["name"], run["load"]["request_rate_rps"], run["load"]["seed"]): run["response_ms"]["mean"]
             for run in own["runs"]}  # fmt: skip
    product = 1.0
    for seed in range(1, 6):
        product *= means["LOAD_DVA", 800.0, seed] / means["NORMAL", 800.0, seed]
    assert rows[0]["ratios"]["mean"]["ratio"] == pytest.approx(product ** (1 / 5), rel=1e-4)
    others = dvabatch("compare", results / "before", "--against", "NORMAL", "--json").document()["rows"]
    assert [row["policy"] for row in others] == ["LOAD_DVA", "LOAD_DVA"]


def test_one_seed_tells_how_many_runs_it_would_take(tmp_path: Path) -> None:
    few = {"process": "poisson", "request_rate": 2000, "num_requests": 120}
    config = table_config(tmp_path, policies=POLICIES, load=few)
    dvabatch("simulate", config, "-o", tmp_path / "out")
    done = dvabatch("compare", tmp_path / "out", "--policy", "LOAD_DVA", "--against", "NORMAL", "--min-effect", "20%",
                    "--fail-if-slower", "30%")  # fmt: skip
    assert "cannot tell" in done.out
    assert "more runs would" in done.err
    assert "1 of the 5 seeds that a claim asks for" in done.err
    assert "with --num-runs" in done.err.splitlines()[-1]


def test_where_they_were_made_is_held_against_each_other(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "before", tmp_path / "moved")
    meta = json.loads((tmp_path / "moved" / "meta.json").read_text())
    meta["environment"] |= {"cores": 96, "packages": meta["environment"]["packages"] | {"numpy": "9.9"}}
    (tmp_path / "moved" / "meta.json").write_text(json.dumps(meta))
    done = dvabatch("compare", results / "before", tmp_path / "moved")
    differing = [line for line in done.err.splitlines() if line.startswith("differs: ")]
    assert [line.split()[1] for line in differing] == ["environment.cores:", "environment.packages.numpy:"]
    assert [line.split()[-2] for line in differing] == ["96", "9.9"]
    assert dvabatch("compare", results / "before", results / "before").err.count("differs:") == 0


def test_real_runs_made_one_after_the_other_are_told_apart(results: Path, tmp_path: Path) -> None:
    config = table_config(tmp_path)
    for name in ("one", "two"):
        dvabatch("bench", config, "-o", tmp_path / name, "--num-requests", 30)
    assert dvabatch("compare", tmp_path / "one", tmp_path / "two", "--json").document()["measured_apart"]
    assert "measured one after the other" in dvabatch("compare", tmp_path / "one", tmp_path / "two").err
    assert "measured one after the other" not in dvabatch("compare", results / "before", results / "after").err


def test_an_invalid_run_cannot_pass_the_gate(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "before", tmp_path / "spoilt")
    report = json.loads((tmp_path / "spoilt" / "report.json").read_text())
    report["runs"][0] |= {"valid": False, "invalid_reasons": ["the sender was late"]}
    (tmp_path / "spoilt" / "report.json").write_text(json.dumps(report))
    plain = dvabatch("compare", results / "before", tmp_path / "spoilt")
    assert plain.code == 0
    assert "invalid: 1 of 4" in plain.out
    assert "NORMAL: INVALID: the sender was late" in plain.err
    assert dvabatch("compare", results / "before", tmp_path / "spoilt", "--fail-if-slower", "3%").code == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "got one set of results, wanted two; or name two policies of it with --policy and --against"),
        (("--policy", "NORMAL"), "got one set of results, wanted two"),
        (("--against", "NROMAL"), "got the policy 'NROMAL', wanted one of NORMAL, LOAD_DVA"),
        (("--against", "NORMAL", "--metric", "p98"), "--metric: got 'p98', wanted one of \"mean\""),
        (("--against", "NORMAL", "--min-effect", "1"), "--min-effect: got '1', wanted a percentage"),
        (("--against", "NORMAL", "--fail-if-slower", "0.5%"), "--fail-if-slower 0.5% is below the smallest difference"),
    ],
)
def test_what_cannot_be_compared(results: Path, words: tuple[str, ...], said: str) -> None:
    assert said in refused(2, "compare", results / "before", *words)


def test_what_never_met_the_same_schedule(results: Path, tmp_path: Path) -> None:
    config = table_config(tmp_path)
    dvabatch("simulate", config, "-o", tmp_path / "other", "--seed", 9)
    assert "no two runs met the same schedule" in refused(2, "compare", results / "before", tmp_path / "other")


def test_damaged_files_are_one_message(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "before", tmp_path / "damaged")
    assert "cannot read a report" in refused(2, "compare", results / "before", tmp_path / "nowhere")
    points = tmp_path / "damaged" / "points"
    next(points.glob("*.json")).write_text("[" * 100_000)
    assert "is not a measured point" in refused(2, "compare", results / "before", tmp_path / "damaged")
    (tmp_path / "damaged" / "report.json").write_text("{}")
    shutil.rmtree(points)
    assert "it is not a report" in refused(2, "compare", results / "before", tmp_path / "damaged")
