"""What a run has to itself."""

from __future__ import annotations

import gc
import sys

import pytest

from dvabatch_cli.sites import undisturbed


def test_a_run_finds_no_old_garbage_and_leaves_the_interpreter_as_it_was() -> None:
    before_s = sys.getswitchinterval()
    with pytest.raises(KeyboardInterrupt), undisturbed():
        assert gc.get_freeze_count() > 1000
        assert gc.collect() == 0, "what was there before is looked through again"
        assert sys.getswitchinterval() != before_s or before_s == pytest.approx(5e-3)
        raise KeyboardInterrupt
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == before_s
