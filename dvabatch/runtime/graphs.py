"""Captured graphs, the least recently used first to go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from engines.device import Graph


class Graphs:
    """At most `room` of them. A graph has addresses baked in, so its key names them all."""

    def __init__(self, room: int) -> None:
        """With no room, nothing is ever captured."""
        self.room = room
        self._graphs: OrderedDict[Hashable, Graph] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._graphs)

    def find(self, key: Hashable) -> Graph | None:
        """The graph of this key, if there is one."""
        graph = self._graphs.get(key)
        if graph is None:
            self.misses += 1
            return None
        self.hits += 1
        self._graphs.move_to_end(key)
        return graph

    def add(self, key: Hashable, capture: Callable[[], Graph]) -> None:
        """Captures one more, in the place of the one that was not used for longest."""
        if self.room:
            while len(self._graphs) >= self.room:
                self._graphs.popitem(last=False)
            self._graphs[key] = capture()

    def forget_counts(self) -> None:
        """Counts from here on."""
        self.hits = self.misses = 0
