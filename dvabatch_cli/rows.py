"""The payloads of queries, by number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np

from dvabatch.loadgen import Schedule
from dvabatch_cli.config import Config
from dvabatch_cli.wiring import payloads_of
from dvabatch_cli.workspace import Prepared
from engines.base import Array


class Rows(Protocol):
    """Payloads by query."""

    @property
    def pads(self) -> Mapping[str, float]: ...

    def row(self, query_id: int, length: int | None) -> Mapping[str, Array]: ...

    def of_run(self, schedule: Schedule) -> Iterable[tuple[Mapping[str, Array], int | None]]:
        """Each payload, with its length, that the queries of a run bring, once; none where none comes again."""


class PooledRows:
    """Payloads of a model, from the pool."""

    def __init__(self, config: Config, prepared: Prepared) -> None:
        self._pool = payloads_of(config, prepared.manifest.inputs)
        self.pool_rows = self._pool.size
        self.pads = {name: float(section.pad) for name, section in config.inputs.items()}

    def row(self, query_id: int, length: int | None) -> Mapping[str, Array]:
        return self._pool.row(query_id, length)

    def of_run(self, schedule: Schedule) -> Iterable[tuple[Mapping[str, Array], int | None]]:
        size, lengths = self._pool.size, schedule.lengths
        of_queries = [None] * min(len(schedule), size) if lengths is None else lengths.tolist()
        for index, length in dict.fromkeys((query % size, length) for query, length in enumerate(of_queries)):
            yield self._pool.row(index, length), length

    def pin(self, pin: Callable[[Array], Array]) -> None:
        """Moves the pool into memory from which a device reads without a copy of ours."""
        self._pool.move(pin)


class TokenRows:
    """Payloads of a latency table: who asks, and no stage done."""

    pads: Mapping[str, float] = {}

    def row(self, query_id: int, length: int | None) -> Mapping[str, Array]:
        row = np.array([query_id, 0])
        return {"query": row if length is None else np.tile(row, (length, 1))}

    def of_run(self, schedule: Schedule) -> Iterable[tuple[Mapping[str, Array], int | None]]:
        return ()
