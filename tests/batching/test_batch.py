"""A batch's own arithmetic."""

from __future__ import annotations

from dvabatch.batching.batch import Batch
from dvabatch.batching.place import Place
from dvabatch.batching.query import Query
from dvabatch.batching.states import BatchState


def batch() -> Batch:
    return Batch(3, 0, [Query(i, 0) for i in range(3)], Place(0, 1, 3), stage=1)


def test_the_boundary_is_where_it_stands_or_where_its_launch_ends() -> None:
    one = batch()
    assert one.boundary == 1
    one.state, one.through = BatchState.RUNNING, 2
    assert one.boundary == 3


def test_cancelled_members_keep_their_rows_and_get_no_answer() -> None:
    one = batch()
    one.cancelled.add(1)
    assert (one.size, one.live_ids, one.is_empty) == (3, (0, 2), False)
    one.cancelled |= {0, 2}
    assert (one.size, one.live_ids, one.is_empty) == (3, (), True)
