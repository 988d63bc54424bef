"""What a run has to itself."""

from __future__ import annotations

import gc
import sys

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.table import table_stages
from dvabatch.runtime.tensors import TensorTable
from dvabatch_cli.sites import HostSite, undisturbed
from tests.runtime.rig import token_of


@pytest.mark.parametrize(("share", "shown"), [(0.5, 1.0), (1.0, 0.5)])
def test_two_launches_that_sleep_do_not_disturb_each_other_whatever_the_profile_says(
    share: float, shown: float
) -> None:
    profile, stages = table_stages({"stages": [{"latency_ms": {"1": 8.0}, "share": {"1": 0.5}}] * 2})
    examples = [{name: rows[None] for name, rows in token_of(0, None).items()}]
    said = profile.at_disturbance(2 * share)
    limits = Limits(2, 1, buffer_sets=2, executors_per_stage=2)
    table = TensorTable(lay_out(stages, examples, ["answer"]), limits.buffer_sets, 1)
    assert HostSite(stages, table, examples, limits, said).disturbance() == pytest.approx(shown, rel=0.2)
    alone = Limits(2, 1, buffer_sets=2, executors_per_stage=1)
    assert HostSite(stages, table, examples, alone, said).disturbance() is None


def test_a_run_finds_no_old_garbage_and_leaves_the_interpreter_as_it_was() -> None:
    before_s = sys.getswitchinterval()
    with pytest.raises(KeyboardInterrupt), undisturbed():
        assert gc.get_freeze_count() > 1000
        assert gc.collect() == 0, "what was there before is looked through again"
        assert sys.getswitchinterval() != before_s or before_s == pytest.approx(5e-3)
        raise KeyboardInterrupt
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == before_s
