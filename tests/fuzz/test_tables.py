"""Latency tables changed at random: each is a profile that can be simulated, or a ProfileError."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.batching.errors import ProfileError
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.batching.table_values import MAX_BATCH
from dvabatch.runtime.journal import Outcome
from dvabatch.runtime.simulated import SimulatedDriver
from tests.fuzz.damage import damage_values

STAGE: dict[str, Any] = {"latency_ms": {"1": 0.2, "4": 0.4}, "share": {"1": 0.4, "4": 0.9}}
TABLES: tuple[dict[str, Any], ...] = (
    {"name": "plain", "stages": [STAGE, STAGE], "boundary_us": 5, "launch_us": 3, "slowdown": {"1.5": 1.2, "3": 3}},
    {"stages": [STAGE], "whole": {"1": 0.3, "4": 1}, "batch_sizes": [1, 2, 4], "wake_us": 2, "one_host": True},
    {
        "stages": [STAGE, STAGE],
        "one_host": True,
        "launch_us": 3,
        "launch_busy_us": 2,
        "launch_busy_us_per_row": 1,
        "boundary_busy_us": 1,
        "queueing_us": 2,
        "first_queueing_us": 1,
        "transfer_us_per_row": 2,
        "bounce_us": 4,
        "bounce_us_per_row": 1,
        "crowding": {"1": {"2": 1.4, "4": 1.9}, "4": {"2": 1.8, "4": 3.6}},
    },
    {"lanes": {"8": {"stages": [STAGE, STAGE]}, "16": {"stages": [STAGE, STAGE], "whole": {"1": 1}}}},
)
numbers = st.sampled_from([0, -1, 1e-300, 1e9, 1e10, 1e306, 1e308, 10**400, "1e400", "nan", 2**40, 5e-324])


@given(st.data())
@settings(max_examples=250)
def test_a_changed_table_is_a_profile_or_refused(data: st.DataObject) -> None:
    table = copy.deepcopy(data.draw(st.sampled_from(TABLES)))
    if data.draw(st.booleans()):
        damage_values(table, data)
    for _ in range(data.draw(st.integers(0, 2))):
        put_number(table, data)
    try:
        profile = Profile.from_table(table)
    except ProfileError as error:
        assert str(error)
        return
    assert Profile.from_table(json.loads(json.dumps(profile.to_table()))).digest == profile.digest
    serve(profile)


def put_number(table: Any, data: st.DataObject) -> None:
    """An extreme number, as a value or as a size."""
    places = [place for place in containers(table) if place]
    if not places:
        return
    place = data.draw(st.sampled_from(range(len(places))))
    where = places[place]
    number = data.draw(numbers)
    if isinstance(where, list):
        where[data.draw(st.integers(0, len(where) - 1))] = number
        return
    key = data.draw(st.sampled_from(sorted(where)))
    if data.draw(st.booleans()):
        where[key] = number
    else:
        where[str(number)] = where.pop(key)


def containers(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, (dict, list)) else []
    return found + [each for child in inner for each in containers(child)]


def serve(profile: Profile) -> None:
    """Ten queries end in simulation, or time runs out and says so."""
    limits = Limits(profile.stages, 1, 2, 2, lanes=profile.lanes)
    machine = Machine(limits, profile, Normal(FillOrWait(1, 0, 2)), debug=True)
    lengths = None if profile.lanes == (None,) else [1] * 10
    try:
        journal = SimulatedDriver(machine).run(range(10), lengths)
    except ProfileError as error:
        assert "146 simulated years" in str(error)
        return
    assert set(journal.outcome) == {Outcome.COMPLETED}


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([{"latency_ms": {"1": 1, str(MAX_BATCH + 1): 2}}], "goes to batch 65537, wanted at most 65536"),
        ([{"latency_ms": {"1": 1, "1e12": 2}}], "wanted at most 65536"),
        ([{"latency_ms": {str(MAX_BATCH): 1}}] * 1000, "take fewer stages or smaller batches"),
        ([{"latency_ms": {"1": 1e308, "2": 1e308}}], "give milliseconds"),
        ([{"latency_ms": {"1": 10**400}}], "wanted a number"),
        ([{"latency_ms": {"5e-324": 1}}], "no batch size of 1 or more"),
    ],
    ids=["one-more", "trillion", "many-stages", "long", "digits", "none"],
)
def test_a_table_that_cannot_be_tabled_is_refused_at_once(stages: list[Any], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        Profile.from_table({"stages": stages})


def test_time_that_runs_out_is_told() -> None:
    profile = Profile.from_table({"stages": [{"latency_ms": {"1": 1e9}}]})
    machine = Machine(Limits(1, 1), profile, Normal(FillOrWait(1, 0, 1)))
    with pytest.raises(ProfileError, match="past 146 simulated years, with 389 of 5000 queries to come"):
        SimulatedDriver(machine).run(range(5000))
