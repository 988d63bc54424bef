"""The laws of the machine, for every policy with any legal options and for one without sense."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.batching.history import History
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.entry import JustInTime
from dvabatch.batching.profile import Profile
from dvabatch.runtime.trace import Recorder, retrace
from tests.laws.audit import Books
from tests.laws.driver import LawDriver
from tests.laws.random_policy import RandomPolicy
from tests.laws.scenario import Scenario
from tests.laws.strategies import POLICIES, MakePolicy, entries, policies, scenarios
from tests.laws.watched import WatchedPolicy

LAWS = settings.get_profile("laws")


def run(scenario: Scenario, make: MakePolicy) -> tuple[Books, WatchedPolicy, str]:
    policy, sink = WatchedPolicy(make()), io.StringIO()
    machine = Machine(scenario.limits, scenario.profile, policy, debug=True)
    books = LawDriver(machine, scenario, Recorder(machine, sink)).run()
    return books, policy, sink.getvalue()


@pytest.mark.parametrize("name", POLICIES)
@LAWS
@given(st.data())
def test_all_laws_hold_whatever_happens(name: str, data: st.DataObject) -> None:
    """Laws 1 to 5 and 7: `LawDriver` raises where one does not; the run ends with everything ended. Law 6: it replays."""
    scenario = data.draw(scenarios())
    make = data.draw(policies(name, scenario.limits))
    _, _, trace = run(scenario, make)
    again = retrace(trace.splitlines(keepends=True), History(scenario.limits, scenario.profile, make()))
    assert len(list(again)) == trace.count("\n") - 1


@settings(LAWS, max_examples=60)
@given(st.data())
def test_all_laws_hold_where_batches_are_opened_ahead(data: st.DataObject) -> None:
    scenario = data.draw(scenarios())
    takes = {"launch_us": data.draw(st.sampled_from([0, 500, 2500])), "transfer_us_per_row": 250}
    scenario = replace(scenario, profile=Profile.from_table(scenario.profile.to_table() | takes))
    entry = data.draw(entries(scenario.limits, mixed=data.draw(st.booleans())))
    ahead = JustInTime(replace(entry, instances=2))
    setting = Setting(1.0, ahead, data.draw(st.booleans()), data.draw(st.booleans()))
    _, _, trace = run(scenario, lambda: Auto((setting,)))
    again = retrace(trace.splitlines(keepends=True), History(scenario.limits, scenario.profile, Auto((setting,))))
    assert len(list(again)) == trace.count("\n") - 1


@pytest.mark.parametrize("name", POLICIES)
@settings(LAWS, max_examples=20)
@given(st.data())
def test_without_faults_every_query_is_delivered_or_rejected_at_the_door(name: str, data: st.DataObject) -> None:
    scenario = data.draw(scenarios(faults=False))
    make = data.draw(policies(name, scenario.limits))
    books, _, _ = run(scenario, make)
    for query in scenario.queries:
        turned_away = {"queue full", "length", "deadline", "no length"}
        if books.ended[query.id] == "rejected":
            assert any(books.why[query.id].startswith(words) for words in turned_away)
        else:
            assert books.ended[query.id] == "delivered"


@pytest.mark.parametrize("name", POLICIES)
@settings(LAWS, max_examples=20)
@given(st.data())
def test_the_order_of_events_within_an_instant_changes_nothing(name: str, data: st.DataObject) -> None:
    scenario = replace(data.draw(scenarios()), one_by_one=False, shuffle_seed=None)
    make = data.draw(policies(name, scenario.limits))
    books, _, _ = run(scenario, make)
    for seed in (3, 4):
        shuffled, _, _ = run(replace(scenario, shuffle_seed=seed), make)
        assert (shuffled.ended, shuffled.why, shuffled.where) == (books.ended, books.why, books.where)
        assert shuffled.delivery_order == books.delivery_order


@pytest.mark.parametrize("name", ["NORMAL", "NORMAL_INPUT"])
@settings(LAWS, max_examples=40)
@given(st.data())
def test_ordinary_batching_keeps_the_order_of_arrival(name: str, data: st.DataObject) -> None:
    """Law 4: within a lane (over all lanes with one queue), whoever came first starts first."""
    scenario = data.draw(scenarios())
    books, _, _ = run(scenario, data.draw(policies(name, scenario.limits)))
    lanes: dict[int | None, list[int]] = {}
    for query_id in books.first_launch:
        lane = scenario.limits.lane_of(books.arrived[query_id].length) if name == "NORMAL" else 0
        lanes.setdefault(lane, []).append(query_id)
    for ids in lanes.values():
        assert ids == sorted(ids)


@settings(LAWS, max_examples=30)
@given(scenarios(), st.integers(0, 99))
def test_same_seed_same_commands(scenario: Scenario, seed: int) -> None:
    """Law 6, for the policy that draws lots: two machines that meet the same world write the same trace."""
    assert run(scenario, lambda: RandomPolicy(seed))[2] == run(scenario, lambda: RandomPolicy(seed))[2]


def test_the_scenarios_reach_what_the_laws_are_about() -> None:
    """A property over runs in which nothing happens would prove nothing: here is what happened in them, at least once."""
    seen: Counter[str] = Counter()
    split_stages: set[str] = set()

    @settings(LAWS, max_examples=100)
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        scenario = data.draw(scenarios())
        books, policy, trace = run(scenario, data.draw(policies("RANDOM", scenario.limits)))
        seen.update(policy.seen)
        seen.update(books.ended.values())
        seen["dropped"] += any("no longer" in why for why in books.why.values())
        seen["three parts"] += policy.most_parts > 2
        seen["the maximum"] += 1 < scenario.limits.max_batch == max(books.batch_sizes, default=0)
        for word in ("Copy", "LaunchFailed", "ExecutorAdded", "ExecutorLost", "DeviceLost", "HostPaced"):
            seen[word] += f'["{word}"' in trace
        last = scenario.limits.stages - 1
        split_stages.update(
            where for where, stage in (("first", 0), ("last", last)) if last and stage in policy.split_stages
        )

    collect()
    wanted = {
        "New", "Stretch", "Merge", "Split", "Hold", "Advance", "behind", "Copy", "three parts", "the maximum",
        "delivered", "failed", "rejected", "forgotten", "LaunchFailed", "ExecutorAdded", "ExecutorLost", "DeviceLost",
        "HostPaced", "dropped",
    }  # fmt: skip
    assert not {what for what in wanted if not seen[what]}
    assert split_stages == {"first", "last"}
