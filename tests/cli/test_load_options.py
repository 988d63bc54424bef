"""The load's own options: each sets a value of the config, and says what is wrong in its own name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dvabatch.reporting.points import load_points, load_queries
from dvabatch_cli.config import ConfigError
from dvabatch_cli.errors import CommandError
from dvabatch_cli.load_options import LoadOptions, load_with_options
from tests.cli.command import dvabatch, ended_well, refused, report_of, table_config


def loaded(name: str = "resnet_152_table", *settings: str, quick: bool = False, **options: Any) -> Any:
    return load_with_options(name, settings, LoadOptions(**options), quick=quick)


def message(*settings: str, **options: Any) -> str:
    with pytest.raises((ConfigError, CommandError)) as caught:
        loaded("resnet_152_table", *settings, **options)
    return str(caught.value)


def test_each_sets_its_value() -> None:
    load = loaded(request_rate=[100.0, 200.0], num_requests=7, max_concurrency=3, seed=9).load
    assert (load.request_rate, load.utilization) == ((100.0, 200.0), None)
    assert (load.num_requests, load.max_concurrency, load.seeds) == (7, 3, (9,))
    timed = loaded(duration=90.0).load
    assert (timed.duration_s, timed.num_requests, timed.max_duration_s) == (90.0, None, None)
    assert loaded(goodput=["response:2.5"]).slo.response_ms == 2.5
    assert loaded(goodput=["e2el:20"]).slo.response_ms == 20
    assert loaded() == loaded("resnet_152_table")


@pytest.mark.parametrize(("value", "shown"), [(0.5, 0.5), (1.0, 1.0), (float("inf"), "inf")])
def test_burstiness_is_the_shape_of_gamma_gaps(value: float, shown: object) -> None:
    load = loaded(burstiness=value).resolved()["load"]
    assert (load["process"], load["burstiness"]) == ("gamma", shown)


def test_runs_count_up_from_the_first_seed() -> None:
    assert loaded("resnet_152_table", num_runs=3).load.seeds == (1, 2, 3)
    assert loaded("resnet_152_table", "load.seeds=[7, 3]", num_runs=4).load.seeds == (7, 8, 9, 10)
    assert loaded(num_runs=2, seed=40).load.seeds == (40, 41)


def test_what_is_asked_for_by_name_is_not_made_small() -> None:
    small = loaded(quick=True).load
    load = loaded(quick=True, num_runs=3, request_rate=[50.0, 60.0, 70.0], num_requests=900).load
    assert (len(small.seeds), small.num_requests) == (1, 200)
    assert (load.seeds, load.request_rate, load.num_requests) == ((1, 2, 3), (50.0, 60.0, 70.0), 900)
    assert loaded(quick=True, num_runs=2).name == "resnet_152_table_quick"
    timed = loaded(quick=True, duration=8.0).load
    assert (timed.num_requests, timed.duration_s, timed.max_duration_s) == (None, 8.0, None)


def test_a_size_that_is_set_is_not_made_small_either() -> None:
    settings = ("load.num_requests=900", "load.seeds=[4, 5]", "load.utilization=[0.1, 0.2, 0.3]")
    load = loaded("resnet_152_table", *settings, quick=True).load
    assert (load.num_requests, load.seeds, load.utilization) == (900, (4, 5), (0.1, 0.2, 0.3))
    config = loaded("resnet_152_table", "name=other", "checks.sample=50", quick=True)
    assert (config.name, config.checks.sample) == ("other_quick", 16)
    steps = loaded("steps_unet_table", "load.steps=[[5, 0.1], [15, 0.9]]", quick=True).load
    assert (steps.steps, steps.max_duration_s) == (((0.75, 0.1), (2.25, 0.9)), 3.0)


def test_requests_that_are_asked_for_do_not_end_with_the_seconds_of_quick() -> None:
    limit_s = loaded("resnet_152_04").load.max_duration_s
    assert limit_s is not None
    assert limit_s > 3
    assert loaded("resnet_152_04", quick=True).load.max_duration_s == 3
    assert loaded("resnet_152_04", quick=True, num_requests=900).load.max_duration_s == limit_s
    assert loaded("resnet_152_04", "load.num_requests=900", quick=True).load.max_duration_s == limit_s
    named = loaded("resnet_152_04", "load.max_duration_s=2", quick=True, num_requests=900).load
    assert (named.num_requests, named.max_duration_s) == (900, 2)


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ((), {"request_rate": [0.0]}, "--request-rate 0: load.request_rate[0]: got 0.0, wanted a number above 0"),
        ((), {"request_rate": [float("inf")]}, "--request-rate inf: load.request_rate: got Infinity, wanted a finite number"),
        ((), {"burstiness": -1.0}, "--burstiness -1: load.burstiness: got -1.0, wanted a number above 0"),
        ((), {"burstiness": float("nan")}, "--burstiness nan: load.burstiness: got NaN, wanted a finite number"),
        ((), {"num_requests": 0}, "--num-requests 0: load.num_requests: got 0, wanted a number of at least 1"),
        ((), {"max_concurrency": 0}, "--max-concurrency 0: load.max_concurrency: got 0, wanted a number of at least 1"),
        ((), {"seed": -1}, "--seed -1: load.seeds[0]: got -1, wanted a number of at least 0"),
        ((), {"seed": (1 << 63) - 1, "num_runs": 2}, "--num-runs 2: load.seeds[1]: got 9223372036854775808"),
        ((), {"num_requests": 5, "duration": 3.0}, "got both num_requests and duration_s, wanted only one of"),
        (("load.utilization=0.5",), {"request_rate": [9.0]}, "got both utilization and request_rate"),
        (("load.num_requests=6",), {"num_requests": 5}, "got both --set load.num_requests=6 and --num-requests 5"),
        (("load.admission=push",), {"max_concurrency": 5}, 'got a bound for pushed requests, wanted the admission "pull"'),
        ((), {"goodput": ["ttft:5"]}, "--goodput: got 'ttft:5', wanted response or e2el and milliseconds, as response:50; t"),
        ((), {"goodput": ["response"]}, "--goodput: got 'response', wanted response or e2el"),
        ((), {"goodput": ["response:1", "e2el:2"]}, "--goodput: got 2 objectives, wanted one"),
        ((), {"goodput": ["response:0"]}, "--goodput response:0: slo.response_ms: got 0, wanted a number above 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_the_options_name(
    settings: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    assert said in message(*settings, **options)


def test_the_same_value_twice_is_no_contradiction() -> None:
    assert loaded("resnet_152_table", "load.num_requests=5", num_requests=5).load.num_requests == 5


def test_burstiness_says_nothing_about_steps() -> None:
    with pytest.raises(ConfigError, match=r'--burstiness 0\.5: load.process: got "step", wanted one of "poisson"'):
        loaded("steps_unet_table", burstiness=0.5)
    assert loaded("steps_unet_table", request_rate=[500.0]).load.request_rate == (500.0,)


def test_the_command_line_takes_them(tmp_path: Path) -> None:
    config = table_config(tmp_path)
    words = ("--request-rate", 500, "--request-rate", 900, "--burstiness", "inf", "--num-requests", 60, "--num-runs", 2)
    done = dvabatch("simulate", config, "-o", tmp_path / "out", *words, "--goodput", "response:1", "--seed", 5)
    assert done.code == 0
    report = report_of(tmp_path / "out")
    loads = {(run["load"]["process"], run["load"]["request_rate_rps"], run["load"]["seed"]) for run in report["runs"]}
    assert loads == {("gamma", rate, seed) for rate in (500, 900) for seed in (5, 6)}
    assert all(run["slo_attainment"] is not None and "held_back" not in run for run in report["runs"])
    assert "2" in refused(2, "simulate", config, "--num-requests", 5, "--duration", 2)
    assert dvabatch("simulate", config, "--num-runs", 0).code == 2


@pytest.mark.parametrize("command", ["simulate", "bench"])
def test_a_load_that_is_held_back_says_so(tmp_path: Path, command: str) -> None:
    config = table_config(tmp_path)
    done = dvabatch(command, config, "-o", tmp_path / "out", "--max-concurrency", 2, "--request-rate", 5000)
    report = report_of(tmp_path / "out")
    assert command == "simulate" or ended_well(done, report)
    for key, run in load_points(tmp_path / "out").items():
        queries = load_queries(tmp_path / "out", key)
        events = [(int(t), 1) for t in queries.admitted_ns] + [(int(t), -1) for t in queries.done_ns]
        under_way = np.cumsum([step for _, step in sorted(events)])
        assert under_way.max() == 2
        assert run["load"]["max_concurrency"] == 2
        assert 0 < run["held_back"]["queries"] < 100
        assert run["held_back"]["mean_ms"] > 0
        assert run["response_ms"]["mean"] > run["service_ms"]["mean"]
        assert not run["late"]
    held = sum(run["held_back"]["queries"] for run in report["runs"])
    assert f"held back: {held} of 200 queries, since at most 2 may be under way" in done.err


def test_more_runs_go_on_where_fewer_ended(tmp_path: Path) -> None:
    config, out = table_config(tmp_path), tmp_path / "out"
    assert dvabatch("simulate", config, "-o", out, "--num-runs", 2).code == 0
    more = dvabatch("simulate", config, "-o", out, "--num-runs", 3, "--resume")
    assert more.code == 0
    assert more.err.count("kept from before") == 4
    assert len(report_of(out)["runs"]) == 6
    assert "points of another config" in refused(2, "simulate", config, "-o", out, "--num-runs", 2, "--resume")
    mark = out / "points" / ".config.json"
    mark.write_text(json.dumps({"config": []}))
    assert "points of another config" in refused(2, "simulate", config, "-o", out, "--num-runs", 3, "--resume")


def test_for_real_another_policy_begins_each_time(tmp_path: Path) -> None:
    dvabatch("bench", table_config(tmp_path), "-o", tmp_path / "out", "--num-runs", 3, "--num-requests", 20)
    runs = report_of(tmp_path / "out")["runs"]
    assert [(run["policy"]["name"], run["load"]["seed"]) for run in runs] == [
        ("NORMAL", 1), ("LOAD_DVA", 1), ("LOAD_DVA", 2), ("NORMAL", 2), ("NORMAL", 3), ("LOAD_DVA", 3),
    ]  # fmt: skip
