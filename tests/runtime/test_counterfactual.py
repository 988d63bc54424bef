"""The same queries once more: as they were served, they fare as they did."""

from __future__ import annotations

import numpy as np
import pytest

from dvabatch.batching.policies.without import Without
from dvabatch.batching.query import Query
from dvabatch.runtime.counterfactual import Arrivals, simulate
from tests.runtime.recorded import LIMITS, POLICIES, recorded


@pytest.mark.parametrize("name", POLICIES)
def test_with_nothing_taken_away_the_run_is_the_same(name: str) -> None:
    run = recorded(name)
    spent_ns = np.array(run.journal.done_ns) - np.array(run.journal.arrival_ns)
    for query_id in (0, 77):
        again = simulate(LIMITS, run.profile, run.policy, run.queries, query_id)
        assert again.response_ns == spent_ns[query_id]
        assert again.mean_ns == spent_ns.mean()
        assert again.operations == run.operations


def test_with_an_operation_taken_away_it_is_another() -> None:
    run = recorded("LOAD_DVA")
    held = next(done.members[0] for step in run.steps() for done in step.operations if done.kind == "hold")
    base = simulate(LIMITS, run.profile, run.policy, run.queries, held)
    changed = simulate(LIMITS, run.profile, Without(run.policy, "hold", held), run.queries, held)
    assert changed.response_ns != base.response_ns
    assert changed.mean_ns != base.mean_ns


def test_deadlines_and_a_bound_on_concurrency_are_kept() -> None:
    run = recorded("NORMAL", 1.0, 400_000)
    lost = next(query_id for query_id, how in enumerate(run.journal.outcome) if how)
    assert simulate(LIMITS, run.profile, run.policy, run.queries, lost).response_ns is None
    free = recorded("NORMAL")
    bound = simulate(LIMITS, free.profile, free.policy, free.queries, 0, max_concurrency=1)
    assert bound.operations["new"] == len(free.queries)


def test_without_a_query_there_is_no_mean() -> None:
    run = recorded("NORMAL", 1.0, 400_000)
    hopeless = [Query(0, 0, 1000)]
    assert simulate(LIMITS, run.profile, run.policy, hopeless, 0).mean_ns is None


@pytest.mark.parametrize(
    ("queries", "why"),
    [
        ([Query(0, 0), Query(1, 5)], None),
        ([Query(0, 0, 7, 10), Query(1, 5, 8, 15)], None),
        ([], None),
        ([Query(1, 0)], "not numbered from 0"),
        ([Query(0, 5), Query(1, 0)], "did not arrive in order"),
        ([Query(0, 0, 7), Query(1, 0)], "only some of its queries have a length"),
        ([Query(0, 0, None, 10), Query(1, 0, None, 11)], "deadlines of several kinds"),
    ],
)
def test_what_cannot_be_simulated_is_said(queries: list[Query], why: str | None) -> None:
    unfit = Arrivals(queries).unfit()
    assert (unfit is None) == (why is None)
    assert why is None or why in str(unfit)
