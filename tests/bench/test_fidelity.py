"""A report's runs simulated once more: those of a simulation come out as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvabatch.batching.costs import Costs
from tests.bench.fidelity import device_pace, host_pace, profile_in, ratios
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
    costs = Costs(100_000, queueing_ns=40_000, stage_queueing_ns=10_000)
    assert host_pace({}, costs) == 1.0
    assert host_pace({"queueing_us": {"whole": 60.0, "stage": None}}, costs) == 1.5
    assert host_pace({"queueing_us": {"whole": 60.0, "stage": 5.0}}, costs) == 1.0
    assert host_pace({"queueing_us": {"whole": 60.0, "stage": 5.0}}, Costs(100_000)) == 1.0


def test_a_device_goes_by_the_clock_of_a_run_where_that_was_held_down() -> None:
    def run(*mhz: int | None) -> dict[str, Any]:
        return {"gpu": {"sm_mhz_by_tenth": list(mhz)}, "load": {"duration_s": 2.0}}

    assert device_pace(run(), 2000) is None
    assert device_pace(run(1990, None, 2000), 2000) is None
    pace = device_pace(run(2000, None, 1000, 1600), 2000)
    assert pace is not None
    assert [pace(round(1e9 * at_s)) for at_s in (0.0, 0.6, 1.1, 1.6, 5.0)] == [1.0, 1.0, 2.0, 1.25, 1.25]


def test_a_run_whose_host_and_device_were_slower_is_simulated_slower(tmp_path: Path) -> None:
    changes = ("load.utilization=[0.3]", "load.seeds=[1]", "load.num_requests=200", "baselines=[]")
    sets = [word for change in changes for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", *sets, "-o", tmp_path).code == 0
    report = report_of(tmp_path)
    report["profile"] |= {"launch_us": 100.0, "queueing_us": 40.0}
    usual = [each.mean for each in ratios(report)]
    for run in report["runs"]:
        run["queueing_us"] = {"whole": 400.0, "stage": None}
    slow_host = [each.mean for each in ratios(report)]
    for run in report["runs"]:
        run["gpu"] = {"sm_mhz": [2000, 2000], "sm_mhz_by_tenth": [1000]}
        run["queueing_us"] = {"whole": 40.0, "stage": None}
    slow_device = [each.mean for each in ratios(report)]
    assert all(one < other for one, other in zip(usual, slow_host, strict=True))
    assert all(1.3 * one < other for one, other in zip(usual, slow_device, strict=True))
