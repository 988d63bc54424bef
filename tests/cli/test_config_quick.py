"""The same experiment made small."""

import pytest

from dvabatch_cli.config.load import RampLoad, StepLoad
from tests.cli.short_config import config, load


def test_quick_makes_it_small() -> None:
    quick = config(
        **load(utilization=[0.1, 0.5, 0.9], seeds=[7, 8], num_requests=5000, max_duration_s=60, warmup_requests=100)
    ).quick()
    assert quick.name == "x_quick"
    assert quick.load.rates_rps(1.0) == (0.1, 0.9)
    assert (quick.load.seeds, quick.load.num_requests, quick.load.max_duration_s) == ((7,), 200, 3)
    assert (quick.load.warmup_requests, quick.checks.sample) == (20, 16)


def test_quick_keeps_what_is_small_already() -> None:
    small = config(
        **load(num_requests=30, max_duration_s=1, warmup_requests=2), checks={"sample": 4}, name="y" * 100
    ).quick()
    assert (small.load.num_requests, small.load.max_duration_s, small.load.warmup_requests) == (30, 1, 2)
    assert (small.checks.sample, small.name) == (4, "y" * 90 + "_quick")


def test_quick_presses_shapes_into_its_time() -> None:
    step = config(load={"process": "step", "steps": [[20, 0.1], [40, 0.9]]}).quick().load
    ramp = config(load={"process": "ramp", "from": 0.1, "to": 0.9, "over_s": 60}).quick().load
    assert isinstance(step, StepLoad)
    assert isinstance(ramp, RampLoad)
    assert [level for _, level in step.steps] == [0.1, 0.9]
    assert sum(seconds for seconds, _ in step.steps) == pytest.approx(3)
    assert ramp.over_s == 3
