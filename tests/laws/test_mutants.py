"""The checks can fail: a machine with one defect is caught, by them and not only by its own."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.batching.errors import BatchingError
from dvabatch.batching.machine import Machine
from dvabatch.compiled import is_compiled
from tests.laws.driver import LawDriver
from tests.laws.mutants import MUTANTS, Break
from tests.laws.strategies import policies, scenarios
from tests.laws.violations import Violation
from tests.laws.watched import WatchedPolicy

pytestmark = pytest.mark.skipif(is_compiled(), reason="nobody can break a compiled machine: `make slow` first")
FIRST = settings(settings.get_profile("laws"), max_examples=150)


@pytest.mark.parametrize("defect", MUTANTS, ids=lambda defect: defect.__name__)
def test_a_machine_with_this_defect_is_caught(defect: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a `Violation` of ours: the machine runs without its own checks. It may stumble over itself before, at times."""
    defect(monkeypatch)

    @FIRST
    @given(st.data())
    def hunt(data: st.DataObject) -> None:
        scenario = data.draw(scenarios())
        policy = WatchedPolicy(data.draw(policies("RANDOM", scenario.limits))())
        with suppress(BatchingError, LookupError):  # its own bookkeeping broke first: that is no catch of ours
            LawDriver(Machine(scenario.limits, scenario.profile, policy), scenario).run()

    with pytest.raises(Violation):
        hunt()
