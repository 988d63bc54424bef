"""The settings of ordinary batching that a comparison sweeps, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvabatch_cli.baselines import grid
from dvabatch_cli.config import load_config
from dvabatch_cli.config.policies import NormalInputOptions, NormalOptions
from dvabatch_cli.wiring import limits_of
from tests.cli.command import NORMAL, TABLE, table_config

LENGTHS = {"distribution": "uniform", "low": 1, "high": 64}


@pytest.mark.parametrize("lanes", [None, [32, 64]])
def test_every_setting_is_tried_once_under_a_name_that_says_it(tmp_path: Path, lanes: list[int] | None) -> None:
    load = {"process": "poisson", "request_rate": 100, "num_requests": 10}
    load |= {"lengths": LENGTHS} if lanes else {}
    table = {"lanes": {str(lane): {"stages": TABLE["stages"]} for lane in lanes}} if lanes else TABLE
    policies = [{**NORMAL, "preferred_seq_len": lanes}] if lanes else [NORMAL]
    config = load_config(str(table_config(tmp_path, table=table, load=load, policies=policies)))
    found = grid(config, limits_of(config, 2))
    for setting in found:
        assert isinstance(setting, NormalOptions | NormalInputOptions)
        mixed = "input " if isinstance(setting, NormalInputOptions) else ""
        told = f"b{setting.max_batch_size} d{setting.max_queue_delay_microseconds} i{setting.instances}"
        assert setting.name == f"swept {mixed}{told}"
        assert setting.preferred_seq_len == (None if lanes is None else tuple(lanes))
        assert (setting.max_batch_size, setting.instances) <= (8, 2)
    names = [setting.name for setting in found]
    assert len(set(names)) == len(names) == (2 if lanes else 1) * (1 + 3 * 6) * 2
    assert {"swept b1 d0 i1", "swept b8 d4000 i2"} <= set(names)
    assert ("swept input b8 d4000 i2" in names) == bool(lanes)
