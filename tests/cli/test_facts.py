"""What a report says of the profile that its runs stood on."""

from __future__ import annotations

import pytest

from dvabatch.batching.profile import Profile
from dvabatch_cli.facts import profile_facts
from dvabatch_cli.ground import Ground

STAGES = [{"latency_ms": {"1": 1.0, "4": 2.0}}]
TOLD = {"crowding": {"1": {"2": 1.5}}, "sm_mhz": {"1": 1980.0, "4": 1700.0}, "clock_power": {"1": 0.9}}


@pytest.mark.parametrize("told", [TOLD, {}])
def test_crowding_and_the_clock_are_told_where_they_are_known(told: dict[str, object]) -> None:
    facts = profile_facts(Ground(Profile.from_table({"name": "told", "stages": STAGES, **told}), {}, None, 100.0))
    assert {key: facts[key] for key in TOLD} == {key: told.get(key) for key in TOLD}
