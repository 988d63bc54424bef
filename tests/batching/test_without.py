"""A policy without one operation: it does not happen to that query, all laws stand, and nothing else is forbidden."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dvabatch.batching.history import Done, History, Kind
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.policies.without import Without
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder, retrace
from tests.laws.driver import LawDriver
from tests.laws.strategies import POLICIES as DRAWN
from tests.laws.strategies import policies, scenarios
from tests.runtime.recorded import LIMITS, POLICIES, QUERIES, Recorded, recorded


class _Lines(list[str]):
    """A sink that is a list of lines."""

    def write(self, line: str) -> int:
        self.append(line)
        return len(line)


def again(run: Recorded, policy: Policy, fresh: Policy) -> tuple[Journal, list[Done]]:
    """The run's queries once more under another policy, with the laws checked; and what was done. `fresh` is its equal."""
    machine, lines = Machine(LIMITS, run.profile, policy, debug=True), _Lines()
    journal = SimulatedDriver(machine, Recorder(machine, lines)).run(  # type: ignore[arg-type]
        [query.arrival_ns for query in run.queries], [query.length or 0 for query in run.queries]
    )
    steps = retrace(lines, History(LIMITS, run.profile, fresh))
    return journal, [done for step in steps for done in step.operations]


def touched(run: Recorded) -> dict[Kind, list[int]]:
    """By kind, queries that some operation of it concerned."""
    found: dict[Kind, set[int]] = {}
    for step in run.steps():
        for done in step.operations:
            found.setdefault(done.kind, set()).update((*done.members, *done.others))
    return {kind: sorted(ids) for kind, ids in found.items() if kind != "new"}


MET = {name: touched(recorded(name)) for name in ("OPERATOR_DVA", "LOAD_DVA", "HYBRID_DVA", "AUTO")}
CASES = [(name, kind) for name, met in MET.items() for kind in met]


def test_every_kind_is_taken_away_from_some_policy() -> None:
    assert set(CASES) >= {
        ("LOAD_DVA", "stretch"), ("LOAD_DVA", "hold"), ("LOAD_DVA", "merge"), ("OPERATOR_DVA", "split"),
        ("OPERATOR_DVA", "hold"), ("OPERATOR_DVA", "merge"), ("HYBRID_DVA", "split"), ("AUTO", "stretch"), ("AUTO", "merge"),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_operation_does_not_happen_and_everybody_is_answered(name: str, kind: Kind) -> None:
    run = recorded(name)
    ids = MET[name][kind]
    for query_id in (ids[0], ids[len(ids) // 2]):
        journal, done = again(run, Without(run.policy, kind, query_id), Without(run.policy, kind, query_id))
        assert not [each for each in done if each.kind == kind and each.concerns(query_id)]
        assert journal.outcome.count(Outcome.COMPLETED) == QUERIES
        assert done != [each for step in run.steps() for each in step.operations]


@pytest.mark.parametrize(
    "name", [name for name in DRAWN if name not in {"RANDOM", "NORMAL", "NORMAL_INPUT", "INPUT_DVA"}]
)
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_all_laws_hold_without_an_operation(name: str, data: st.DataObject) -> None:
    """`LawDriver` raises where one does not; the run ends with everything ended, failures and losses included."""
    scenario = data.draw(scenarios())
    make = data.draw(policies(name, scenario.limits))
    kind: Kind = data.draw(st.sampled_from(["stretch", "merge", "split", "hold"]))
    policy = Without(make(), kind, data.draw(st.integers(0, 12)), data.draw(st.integers(1, 2)))
    LawDriver(Machine(scenario.limits, scenario.profile, policy, debug=True), scenario).run()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_came_before_stays_as_it_was(name: str, kind: Kind) -> None:
    """From the nth on, counted as a history counts: the ones before happen as they did, and none after."""
    run = recorded(name)
    done = [each for step in run.steps() for each in step.operations]
    own = {
        query_id: [each for each in done if each.kind == kind and each.concerns(query_id)]
        for query_id in MET[name][kind]
    }
    most = sorted(own, key=lambda query_id: -len(own[query_id]))[:2]
    if kind == "stretch":  # as one who waits in a tail that others join
        most = sorted(own, key=lambda query_id: -sum(query_id in each.others for each in own[query_id]))[:2]
    for query_id in most:
        nth = len(own[query_id])
        _, changed = again(run, Without(run.policy, kind, query_id, nth), Without(run.policy, kind, query_id, nth))
        kept = [each for each in changed if each.kind == kind and each.concerns(query_id)]
        assert kept == own[query_id][: nth - 1]
        until = done.index(own[query_id][nth - 1])
        assert changed[:until] == done[:until]


@pytest.mark.parametrize("kind", ["stretch", "merge", "split", "hold"])
def test_some_query_meets_each_kind_again_and_again(kind: Kind) -> None:
    """Or the test above would not see how they are counted."""
    done = [each for step in recorded("HYBRID_DVA").steps() for each in step.operations if each.kind == kind]
    assert max(sum(each.concerns(query_id) for each in done) for query_id in range(QUERIES)) > 1
    if kind == "stretch":
        assert max(sum(query_id in each.others for each in done) for query_id in range(QUERIES)) > 1


def test_a_query_that_no_such_operation_concerns_changes_nothing() -> None:
    run = recorded("LOAD_DVA")
    bystander = next(query_id for query_id in range(QUERIES) if query_id not in MET["LOAD_DVA"]["hold"])
    journal, _ = again(run, Without(run.policy, "hold", bystander), Without(run.policy, "hold", bystander))
    assert journal.done_ns == run.journal.done_ns


def test_a_new_batch_cannot_be_taken_away() -> None:
    with pytest.raises(ValueError, match="no query enters"):
        Without(POLICIES["NORMAL"], "new", 0)
