"""The tensor table: the memory of the buffer sets. A set holds `max_batch` rows of every tensor between stages.

Batches are slices of it, so that a stretch, a split and a merge of neighbours move nothing. Memory is taken when a set is
first used, once for all lanes; a lane sees it in its own shapes.
"""

from __future__ import annotations

import threading

import numpy as np

from dvabatch.batching.commands import Copy
from dvabatch.batching.place import Place
from dvabatch.runtime.shapes import Layout
from engines.base import Array


class TensorTable:
    """Rows by (buffer set, lane, tensor)."""

    def __init__(self, layout: Layout, sets: int, max_batch: int, *, poison: bool = False) -> None:
        """`poison` fills fresh memory with bytes that are NaN in every float type, so that a stray read shows."""
        self.layout = layout
        self._max_batch = max_batch
        self._poison = poison
        self._memory: list[dict[str, Array] | None] = [None] * sets
        self._views: dict[tuple[int, int], dict[str, Array]] = {}
        self._opening = threading.Lock()  # a head and its tail may be the first in their set, on two threads

    def rows(self, place: Place, lane: int, names: tuple[str, ...]) -> dict[str, Array]:
        """The rows of a place in these tensors, as views `[rows, ...]`."""
        views = self._views.get((place.buffer_set, lane))
        if views is None:
            with self._opening:
                views = self._views.get((place.buffer_set, lane)) or self._open(place.buffer_set, lane)
        return {name: views[name][place.first_row : place.end_row] for name in names}

    def copy(self, command: Copy) -> int:
        """Moves what is alive at the boundary; answers with the bytes moved."""
        names = self.layout.alive[command.stage]
        sources = self.rows(command.source, command.lane, names)
        targets = self.rows(command.target, command.lane, names)
        for name in names:
            np.copyto(targets[name], sources[name])
        return sum(source.nbytes for source in sources.values())

    def forsake(self, buffer_set: int) -> None:
        """What hangs may write into this set for ever: it keeps the memory, and the set gets another when next used."""
        self._memory[buffer_set] = None
        self._views = {key: views for key, views in self._views.items() if key[0] != buffer_set}

    def _bytes_of(self, name: str) -> int:
        """Bytes per row in the widest lane."""
        return max(lane[name].bytes for lane in self.layout.rows)

    def _open(self, buffer_set: int, lane: int) -> dict[str, Array]:
        memory = self._memory[buffer_set]
        if memory is None:
            memory = self._memory[buffer_set] = {}
            for name in self.layout.rows[0]:
                room: Array = np.empty(self._bytes_of(name) * self._max_batch, np.uint8)
                if self._poison:
                    room.fill(0xFF)
                memory[name] = room
        views = {}
        for name, spec in self.layout.rows[lane].items():
            flat = memory[name][: spec.bytes * self._max_batch].view(spec.dtype)
            views[name] = flat.reshape(self._max_batch, *spec.shape)
        self._views[buffer_set, lane] = views
        return views
