"""The journal: what happened to each query, and what was launched."""

from __future__ import annotations

import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.place import Place
from dvabatch.batching.profile import Profile
from dvabatch.runtime.journal import Journal, Outcome, StageWork

STAGE = {"latency_ms": {"1": 1.0, "4": 2.0}}
PADDED = Profile.from_table({"stages": [STAGE] * 2, "batch_sizes": [1, 4]})
LANES = Profile.from_table({"lanes": {"32": {"stages": [STAGE] * 2}, "64": {"stages": [STAGE] * 2}}})


def launch(first: int, last: int, *query_ids: int, lane: int = 0) -> Launch:
    return Launch(0, 0, lane, first, last, Place(0, 0, len(query_ids)), query_ids, (0,) * (last - first + 1))


def test_launches_count_in_every_stage_that_they_span_with_the_rows_that_run() -> None:
    journal = Journal(4)
    for one in (launch(0, 1, 0, 1), launch(0, 0, 2), launch(0, 1, 2, 3)):
        journal.launched(one)
    assert journal.stages(PADDED) == [StageWork({1: 1, 2: 2}, 5, 9), StageWork({2: 2}, 4, 8)]


def test_who_asks_for_the_launches_gets_those_up_to_now() -> None:
    journal = Journal(4)
    journal.launched(launch(0, 1, 0, 1))
    found = journal.launches()
    journal.launched(launch(0, 1, 2, 3))
    assert (found, journal.launches()) == ({(0, 1, 0, 2): 1}, {(0, 1, 0, 2): 2})


def test_answers_count_as_served_whole_where_one_launch_took_their_query_through_all_stages() -> None:
    journal = Journal(5)
    for one in (launch(0, 1, 0, 1, 2), launch(0, 0, 3), launch(1, 1, 3), launch(0, 1, 4)):
        journal.launched(one)
    assert journal.rows_whole(1) == 0  # nothing is answered yet
    journal.completed((0, 1, 3), 7)
    journal.ended(2, Outcome.CANCELLED, 7)
    journal.ended(4, Outcome.FAILED, 8)
    assert journal.rows_whole(1) == 2
    assert journal.rows_whole(0) == 1  # the one that entered by a launch of stage 0 alone: all, had the model one stage


def test_a_short_query_fills_its_row_in_part() -> None:
    journal = Journal(3, lengths=[8, 32, 48])
    journal.launched(launch(0, 0, 0, 1))
    journal.launched(launch(0, 1, 2, lane=1))
    assert journal.stages(LANES) == [StageWork({1: 1, 2: 1}, 40 / 32 + 48 / 64, 3), StageWork({1: 1}, 48 / 64, 1)]


def test_a_query_ends_once() -> None:
    journal = Journal(2)
    journal.completed((0, 1), 7)
    assert (list(journal.done_ns), list(journal.outcome)) == ([7, 7], [Outcome.COMPLETED] * 2)
    with pytest.raises(ValueError, match="query 1 ended twice: COMPLETED, then COMPLETED"):
        journal.completed((1,), 8)
    with pytest.raises(ValueError, match="query 0 ended twice: COMPLETED, then FAILED"):
        journal.ended(0, Outcome.FAILED, 8)


def test_what_queueing_took_is_told_apart_by_stages_and_rows_of_a_launch_that_begins_with_the_first_of_its_set() -> (
    None
):
    journal = Journal(4)
    took = [(0, 2, 0, 1, 30), (0, 0, 0, 1, 10), (0, 2, 4, 1, 70), (1, 1, 0, 1, 90), (0, 2, 0, 3, 80), (0, 2, 0, 1, 50)]
    journal.queued(Launch(9, 9, 0, 0, 2, Place(0, 0, 1), (9,), (0, 0, 0), None), 60, idle=True)
    for number, (first, last, first_row, rows, took_ns) in enumerate(took):
        executors = (0,) * (last + 1 - first)
        place = Place(0, first_row, rows)
        journal.queued(Launch(number, number, 0, first, last, place, (number,) * rows, executors, None), took_ns)
    assert journal.queueing_ns.tolist() == [60, 30, 10, 70, 90, 80, 50]
    found = {stages: journal.queueing_of_ns(stages) for stages in (1, 2, 3)}
    by_rows = {stages: {rows: took.tolist() for rows, took in of.items()} for stages, of in found.items()}
    assert by_rows == {1: {1: [10]}, 2: {}, 3: {1: [30, 50], 3: [80]}}
