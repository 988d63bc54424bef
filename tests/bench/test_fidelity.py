"""A report's runs simulated once more: those of a simulation come out as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dvabatch.batching.costs import Costs
from tests.bench.fidelity import clock_pace, host_pace, main, most_mhz_in, profile_in, ratios
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
    assert host_pace({"queueing_us": {"whole": None, "first": None, "pace": None}}, costs) == 1.0
    assert host_pace({"queueing_us": {"whole": 60.0, "first": None, "pace": 1.5}}, costs) == 1.5
    # By a profile of before, a thread that never rests is no faster host.
    assert host_pace({"queueing_us": {"whole": 20.0, "first": None, "pace": 0.5}}, costs) == 1.0
    knowing = Costs(100_000, queueing_ns=40_000, launch_busy_ns_per_row=0)
    assert host_pace({"queueing_us": {"whole": 20.0, "first": None, "pace": 0.5}}, knowing) == 0.5
    # What was reported before mixed launches with and without a transfer.
    assert host_pace({"queueing_us": {"whole": 60.0, "stage": 90.0, "pace": 4.0}}, costs) == 1.5
    assert host_pace({"queueing_us": {"whole": None, "stage": 90.0, "pace": 4.0}}, costs) == 1.0
    assert host_pace({"queueing_us": {"whole": 60.0, "stage": 90.0, "pace": 4.0}}, Costs(100_000)) == 1.0


def test_a_run_whose_host_was_slower_is_simulated_slower(tmp_path: Path) -> None:
    changes = ("load.utilization=[0.3]", "load.seeds=[1]", "load.num_requests=200", "baselines=[]")
    sets = [word for change in changes for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", *sets, "-o", tmp_path).code == 0
    report = report_of(tmp_path)
    report["profile"] |= {"launch_us": 100.0, "queueing_us": 40.0}
    usual = [each.mean for each in ratios(report)]
    for run in report["runs"]:
        run["queueing_us"] = {"whole": 400.0, "first": None, "pace": 10.0}
    slow_host = [each.mean for each in ratios(report)]
    assert all(one < other for one, other in zip(usual, slow_host, strict=True))


def test_the_clock_of_a_tenth_tells_the_pace_of_its_instants() -> None:
    told = [None, 1000, None, 500, *[2000] * 6]
    run = {"load": {"duration_s": 1e-6}, "gpu": {"sm_mhz_by_tenth": told}}
    pace = clock_pace(run, 2000.0)
    assert pace is not None
    assert [pace(now_ns) for now_ns in (0, 99, 100, 250, 399, 400, 999, 1_000, 5_000)] == [2, 2, 2, 2, 4, 1, 1, 1, 1]
    assert clock_pace({"load": {"duration_s": 1.0}, "gpu": {"sm_mhz": [1980, 1400]}}, 2000.0) is None
    assert clock_pace({"load": {"duration_s": 1.0}, "gpu": {"sm_mhz_by_tenth": [None] * 10}}, 2000.0) is None
    assert clock_pace({"load": {"duration_s": 1.0}}, 2000.0) is None


def test_the_fastest_clock_of_all_runs_is_that_of_the_profile() -> None:
    runs = [{}, {"gpu": {"sm_mhz": [1980, 1400]}}, {"gpu": {"sm_mhz": [None, 1], "sm_mhz_by_tenth": [None, 1995]}}]
    assert most_mhz_in({"runs": runs}) == 1995
    assert most_mhz_in({"runs": [{}]}) == 0


def test_a_run_whose_clock_fell_is_simulated_slower_from_then_on(tmp_path: Path) -> None:
    changes = ("load.utilization=[0.3]", "load.seeds=[1]", "load.num_requests=200", "baselines=[]")
    sets = [word for change in changes for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", *sets, "-o", tmp_path).code == 0
    report = report_of(tmp_path)
    for run in report["runs"]:
        run["gpu"] = {"sm_mhz_by_tenth": [2000] * 10}
    assert {each.mean for each in ratios(report)} == {1.0}
    for run in report["runs"]:
        run["gpu"] = {"sm_mhz_by_tenth": [2000] * 5 + [1000] * 5}
    assert all(each.mean > 1.1 for each in ratios(report))


def test_a_device_at_another_clock_than_its_profile_is_simulated_so_and_its_machine_knows_nothing(
    tmp_path: Path,
) -> None:
    changes = ("load.utilization=[0.6]", "load.seeds=[1]", "load.num_requests=400", "baselines=[]")
    settings = [{"instances": 1, "max_batch_size": 8, "max_queue_delay_microseconds": 0, "ahead": True, "up_to": 9.0}]
    policies = json.dumps([{"scheduler_type": "NORMAL"}, {"scheduler_type": "AUTO", "settings": settings}])
    sets = [word for change in (*changes, f"policies={policies}") for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", *sets, "-o", tmp_path).code == 0
    report = report_of(tmp_path)
    # Measured at 1,800 MHz, by its profile and in its runs, but for one that never came near the others.
    report["profile"]["sm_mhz"] = {"1": 1800, "64": 1800}
    for run in report["runs"]:
        run["gpu"] = {"sm_mhz_by_tenth": [1800] * 10}
    report["runs"].append({**report["runs"][0], "gpu": {"sm_mhz_by_tenth": [900] * 10}})
    report["runs"].append({**report["runs"][0], "gpu": {"sm_mhz_by_tenth": [2000] * 10}})
    normal, auto, slow, fast = [each.mean for each in ratios(report)]
    report["profile"]["clock_power"] = {"1": 0.0}
    assert len({each.mean for each in ratios(report) if each.policy == "NORMAL"}) == 1, "whose kernels only wait"
    assert normal == pytest.approx(1.0, abs=0.002)
    assert auto == pytest.approx(1.0, abs=0.002), "a machine that was told would open batches sooner"
    assert fast < normal < slow


def test_a_machine_hears_of_its_host_only_if_that_of_the_run_did(tmp_path: Path) -> None:
    changes = ("load.utilization=[0.6]", "load.seeds=[1]", "load.num_requests=400", "baselines=[]")
    settings = [{"instances": 1, "max_batch_size": 8, "max_queue_delay_microseconds": 0, "ahead": True, "up_to": 9.0}]
    policies = json.dumps([{"scheduler_type": "AUTO", "settings": settings}])
    sets = [word for change in (*changes, f"policies={policies}") for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", *sets, "-o", tmp_path).code == 0
    report = report_of(tmp_path)
    report["profile"] |= {"launch_us": 300.0, "launch_busy_us": 300.0, "queueing_us": 100.0, "one_host": True}
    (run,) = report["runs"]
    run["queueing_us"] = {"pace": 2.5}
    deaf = next(ratios(report)).mean
    run["queueing_us"]["heard"] = 2.4
    assert next(ratios(report)).mean < 0.97 * deaf


def test_a_slower_device_may_be_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("load.utilization=[0.3,0.95]", "load.seeds=[1]", "load.num_requests=400", "baselines=[]")
    sets = [word for change in (*changes, 'policies=[{"scheduler_type":"NORMAL"}]') for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", *sets, "-o", tmp_path).code == 0
    assert [each.mean for each in ratios(report_of(tmp_path))] == [1.0, 1.0]
    light, heavy = [each.mean for each in ratios(report_of(tmp_path), 1.02)]
    assert 1.002 < light < 1.02 < heavy, "near its limit it hangs on the device by more than that"
    main(tmp_path, 1.02)
    assert f"mean {heavy:.3f}" in capsys.readouterr().out
