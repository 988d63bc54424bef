"""A report's runs simulated once more: those of a simulation come out as they were."""

from __future__ import annotations

from pathlib import Path

from dvabatch.batching.costs import Costs
from tests.bench.fidelity import host_pace, profile_in, ratios
from tests.cli.command import dvabatch, report_of


def test_a_simulation_is_its_own_twin(tmp_path: Path) -> None:
    changes = ("load.utilization=[0.5]", "load.seeds=[1]", "load.num_requests=300", 'baselines=["untuned"]')
    sets = [word for change in changes for word in ("--set", change)]
    for name in ("resnet_152_table", "bert_base_table"):
        assert dvabatch("simulate", f"{name}.json", *sets, "-o", tmp_path / name).code == 0
        report = report_of(tmp_path / name)
        found = list(ratios(report))
        assert len(found) == len(report["runs"]) > 1
        assert {each.mean for each in found} == {1.0}
        assert profile_in(report).capacity_rps(32) > 0
        assert all("mean 1.000" in each.line for each in found)


def test_each_rate_of_a_load_in_queries_a_second_is_simulated_at_its_own(tmp_path: Path) -> None:
    load = 'load={"process":"poisson","request_rate":[40,400],"num_requests":500,"seeds":[1]}'
    assert (
        dvabatch("simulate", "resnet_152_table.json", "--set", load, "--set", "baselines=[]", "-o", tmp_path).code == 0
    )
    assert {each.mean for each in ratios(report_of(tmp_path))} == {1.0}


def test_a_host_goes_by_what_queueing_launches_took_in_a_run() -> None:
    costs = Costs(100_000, queueing_ns=40_000, first_queueing_ns=10_000)
    assert host_pace({}, costs) == 1.0
    assert host_pace({"queueing_us": {"whole": 60.0, "first": None}}, costs) == 1.5
    assert host_pace({"queueing_us": {"whole": 60.0, "first": 5.0}}, costs) == 1.0
    assert (
        host_pace({"queueing_us": {"whole": 20.0, "first": None}}, costs) == 1.0
    )  # a thread that never rests, no faster host
    assert host_pace({"queueing_us": {"whole": 60.0, "first": 5.0}}, Costs(100_000)) == 1.0


def test_a_run_whose_host_was_slower_is_simulated_slower(tmp_path: Path) -> None:
    changes = ("load.utilization=[0.3]", "load.seeds=[1]", "load.num_requests=200", "baselines=[]")
    sets = [word for change in changes for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", *sets, "-o", tmp_path).code == 0
    report = report_of(tmp_path)
    report["profile"] |= {"launch_us": 100.0, "queueing_us": 40.0}
    usual = [each.mean for each in ratios(report)]
    for run in report["runs"]:
        run["queueing_us"] = {"whole": 400.0, "first": None}
    slow_host = [each.mean for each in ratios(report)]
    assert all(one < other for one, other in zip(usual, slow_host, strict=True))
