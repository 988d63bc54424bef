"""Ready batches: by stage, and in order of id."""

from __future__ import annotations

from dvabatch.batching.batch import Batch
from dvabatch.batching.place import Place
from dvabatch.batching.query import Query
from dvabatch.batching.ready import ReadyBatches


def batch(batch_id: int, stage: int) -> Batch:
    return Batch(batch_id, 0, (Query(batch_id, 0),), Place(0, 0, 1), stage)


def test_batches_are_found_by_stage_and_by_free_executors_in_order_of_id() -> None:
    ready = ReadyBatches(3)
    batches = {batch_id: batch(batch_id, stage) for batch_id, stage in ((7, 0), (5, 2), (3, 0), (4, 1))}
    for each in batches.values():
        ready.add(each)
    assert [each.id for each in ready.all()] == [3, 4, 5, 7]
    assert [each.id for each in ready.at(0)] == [3, 7]
    assert [each.id for each in ready.startable([2, 0, 1])] == [3, 5, 7]
    assert ready.startable([0, 0, 0]) == []
    ready.remove(batches[3])
    assert ([each.id for each in ready.at(0)], ready.count) == ([7], 3)
