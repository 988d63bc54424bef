"""The ready batches, by the stage that is next for them: most stages have none, or no executor for them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from dvabatch.batching.batch import Batch

_by_id = attrgetter("id")


class ReadyBatches:
    """Those that stand at a boundary or the entry and wait for a word."""

    __slots__ = ("_at", "count")

    def __init__(self, stages: int) -> None:
        self._at: list[dict[int, Batch]] = [{} for _ in range(stages)]
        self.count = 0

    def add(self, batch: Batch) -> None:
        self._at[batch.stage][batch.id] = batch
        self.count += 1

    def remove(self, batch: Batch) -> None:
        del self._at[batch.stage][batch.id]
        self.count -= 1

    def all(self) -> list[Batch]:
        """In order of id, as are all answers."""
        return _in_order([batch for at_stage in self._at for batch in at_stage.values()])

    def startable(self, idle: Sequence[int]) -> list[Batch]:
        """Those whose stage has a free executor; `idle[stage]` is how many there are."""
        found: list[Batch] = []
        for at_stage, free in zip(self._at, idle, strict=True):
            if at_stage and free:
                found += at_stage.values()
        return _in_order(found)

    def at(self, stage: int) -> list[Batch]:
        return _in_order([*self._at[stage].values()])


def _in_order(batches: list[Batch]) -> list[Batch]:
    if len(batches) > 1:
        batches.sort(key=_by_id)
    return batches
