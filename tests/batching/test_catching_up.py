"""LOAD_DVA: late queries catch up with the youngest batch, meet it at its boundary and join it under its id."""

from __future__ import annotations

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.policy import LoadDva
from tests.batching.timeline import MS, Timeline, flat, play

FOUR = flat(4)  # 1 ms a stage


def load(
    arrivals_ms: list[float],
    *,
    max_batch: int = 4,
    max_merged: int = 4,
    last_stage: int = 2,
    max_age_ms: float | None = None,
    executors: int = 4,
    lengths: list[int | None] | None = None,
) -> Timeline:
    limits = Limits(4, 4, 8, executors)
    profile = FOUR
    if lengths is not None:
        limits, profile = Limits(4, 4, 8, executors, lanes=(8, 16)), flat(4, lanes={8: 1, 16: 1})
    age_ns = None if max_age_ms is None else round(max_age_ms * MS)
    return play(limits, profile, LoadDva(CatchingUp(max_batch, max_merged, last_stage, age_ns)), arrivals_ms, lengths)


def test_queries_enter_at_once_together() -> None:
    line = load([0, 0, 0])
    assert line.of(0)[0] == (0, 0, 0, (0, 1, 2))


def test_the_head_is_held_where_its_launch_ends_and_the_tail_meets_it_there() -> None:
    line = load([0, 0.5])
    assert line.ran() == [
        (0, 0, 0, 0, (0,)),
        (0.5, 1, 0, 0, (1,)),  # the tail alone
        (1.5, 0, 1, 1, (0, 1)),  # under the head's id, the head's member in front
        (2.5, 0, 2, 3, (0, 1)),  # behind the last boundary where it may be stretched: no stop any more
    ]
    assert line.done_ms == {0: 4.5, 1: 4.5}
    assert line.places == [(0, 0), (0, 1), (0, 0), (0, 0)]  # right behind the head
    assert line.copies == []
    assert line.operations == {"new": 1, "stretch": 1, "merge": 1, "split": 0, "hold": 1}


def test_arrivals_join_a_tail_that_has_not_started() -> None:
    line = load([0, 0.2, 0.4, 0.6], executors=1)
    assert line.ran()[:3] == [(0, 0, 0, 0, (0,)), (1, 1, 0, 0, (1, 2, 3)), (2, 0, 1, 3, (0, 1, 2, 3))]


def test_a_head_has_one_tail_at_most() -> None:
    line = load([0, 0.2, 0.4])
    assert line.of(2)[0] == (0.4, 0, 0, (2,))
    assert line.places[2] == (1, 0)  # a batch of its own
    assert line.of(0)[1] == (1.2, 1, 1, (0, 1))


def test_the_tail_is_clipped_to_the_largest_merged_batch_and_reaches_it() -> None:
    line = load([0, 0.5, 0.5, 0.5, 0.5], max_merged=3)
    assert line.of(1) == [(0.5, 0, 0, (1, 2))]
    assert line.of(0)[1] == (1.5, 1, 3, (0, 1, 2))  # full: nothing can make it wait, so it stops no more
    assert line.of(2)[0][3] == (3, 4)


def test_the_tail_is_clipped_to_the_rows_of_the_set() -> None:
    line = load([0, 0, 0.5, 0.5, 0.5], max_merged=9)
    assert line.of(0)[1][3] == (0, 1, 2, 3)
    assert line.of(2)[0][3] == (4,)


@pytest.mark.parametrize(("last_stage", "stretched"), [(0, False), (1, True)])
def test_stages_completed_plus_the_one_running_may_reach_the_limit(last_stage: int, stretched: bool) -> None:
    """At 0.5 ms none is completed and one is running."""
    line = load([0, 0.5], last_stage=last_stage)
    assert (line.operations["stretch"] == 1) is stretched


@pytest.mark.parametrize(("last_stage", "stretched"), [(1, False), (2, True)])
def test_the_same_limit_one_stage_later(last_stage: int, stretched: bool) -> None:
    """At 1.5 ms one is completed and one is running: with the limit at 1 it is not open (and runs through)."""
    line = load([0, 1.5], last_stage=last_stage)
    assert (line.operations["stretch"] == 1) is stretched
    if stretched:
        assert line.ran()[2:4] == [(1.5, 1, 0, 1, (1,)), (3.5, 0, 2, 3, (0, 1))]


@pytest.mark.parametrize(("arrival_ms", "stretched"), [(0.5, True), (0.500001, False)])
def test_the_age_since_its_first_launch_may_reach_the_limit(arrival_ms: float, stretched: bool) -> None:
    """To the nanosecond, in nanoseconds."""
    line = load([0, arrival_ms], max_age_ms=0.5)
    assert (line.operations["stretch"] == 1) is stretched


def test_a_merged_batch_can_be_stretched_again_under_the_same_limits() -> None:
    line = load([0, 0.5, 2.0])
    assert line.ran() == [
        (0, 0, 0, 0, (0,)),
        (0.5, 1, 0, 0, (1,)),
        (1.5, 0, 1, 1, (0, 1)),
        (2.0, 2, 0, 1, (2,)),
        (4.0, 0, 2, 3, (0, 1, 2)),
    ]
    assert line.operations["stretch"] == 2


def test_a_merged_batch_is_as_old_as_its_first_launch() -> None:
    """At 2 ms it has run for 2 ms, though it was merged half a millisecond ago."""
    line = load([0, 0.5, 2.0], max_age_ms=1.9)
    assert line.operations["stretch"] == 1
    assert line.of(2)[0][0] == 2.0
    assert line.places[[run.batch for run in line.launches].index(2)] == (1, 0)


def test_only_the_youngest_batch_is_stretched() -> None:
    """At 0.6 ms batch 0 has a tail that runs, batch 2 is open: batch 2 gets company, whatever batch 0 could take."""
    line = load([0, 0.2, 0.4, 0.6])
    assert line.of(3) == [(0.6, 0, 0, (3,))]
    assert line.of(2)[1][3] == (2, 3)


def test_lanes_are_stretched_apart() -> None:
    line = load([0, 0, 0.5, 0.5], lengths=[8, 16, 16, 8])
    merged = {(run.lane, run.ids) for run in line.launches if run.last == 3}
    assert merged == {(0, (0, 3)), (1, (1, 2))}


def test_a_launch_runs_through_where_nothing_could_change() -> None:
    assert load([0], last_stage=0).ran() == [(0, 0, 0, 3, (0,))]
    assert load([0], last_stage=1).ran() == [(0, 0, 0, 0, (0,)), (1, 0, 1, 3, (0,))]


def test_no_new_batch_without_an_executor_that_is_free() -> None:
    line = load([0, 0.2], last_stage=0, executors=1)
    assert line.ran() == [(0, 0, 0, 3, (0,)), (4, 1, 0, 3, (1,))]
