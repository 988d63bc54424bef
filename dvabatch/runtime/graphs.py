"""Captured graphs, the least recently used first to go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

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

    def find_first(self, *ways: Sequence[Hashable]) -> list[Graph] | None:
        """The graphs of the first way of which all are there; None, and one miss, if there is none."""
        graphs = self._graphs
        for keys in ways:
            found = [graphs[key] for key in keys if key in graphs]
            if len(found) == len(keys):
                self.hits += len(found)
                for key in keys:
                    graphs.move_to_end(key)
                return found
        self.misses += 1
        return None

    def add(self, key: Hashable, capture: Callable[[], Graph]) -> None:
        """Captures one more, in the place of the one that was not used for longest."""
        if self.room:
            while len(self._graphs) >= self.room:
                self._graphs.popitem(last=False)
            self._graphs[key] = capture()

    def forget_counts(self) -> None:
        """Counts from here on."""
        self.hits = self.misses = 0
