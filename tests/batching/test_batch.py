"""A batch's own arithmetic."""

from __future__ import annotations

from dvabatch.batching.batch import Batch
from dvabatch.batching.place import Place
from dvabatch.batching.query import Query


def batch() -> Batch:
    return Batch(3, 0, tuple(Query(i, 0) for i in range(3)), Place(0, 1, 3), stage=1)


def test_cancelled_members_keep_their_rows_and_get_no_answer() -> None:
    one = batch()
    one.cancelled.add(1)
    assert (one.size, one.live_ids, one.is_empty) == (3, (0, 2), False)
    one.cancelled |= {0, 2}
    assert (one.size, one.live_ids, one.is_empty) == (3, (), True)


def test_its_ids_are_those_of_its_queries_also_when_more_have_come() -> None:
    one = batch()
    assert one.ids == (0, 1, 2)
    assert one.ids is one.ids
    one.queries += (Query(7, 0),)
    assert one.ids == (0, 1, 2, 7)
