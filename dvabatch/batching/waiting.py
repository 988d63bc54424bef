"""The waiting room: queries that have arrived and belong to no batch yet, a queue for each lane."""

from __future__ import annotations

import heapq
import math
from itertools import islice
from operator import attrgetter

from dvabatch.batching.query import Query

_by_id = attrgetter("id")


class WaitingRoom:
    """First come, first served within a lane: dictionaries keep order and find a query by id in constant time."""

    __slots__ = ("_queues", "arrived", "count", "deadlines")

    def __init__(self, lanes: int) -> None:
        self._queues: list[dict[int, Query]] = [{} for _ in range(lanes)]
        self.arrived = [0] * lanes  # how many have come, whatever became of them
        self.deadlines: list[tuple[int, int, int]] = []  # a heap of (to be taken out by, id, lane)
        self.count = 0

    def add(self, lane: int, query: Query, lead_ns: int = 0) -> None:
        """It has to be taken out `lead_ns` before its deadline, if it has one."""
        self._queues[lane][query.id] = query
        self.arrived[lane] += 1
        self.count += 1
        if query.deadline_ns is not None:
            heapq.heappush(self.deadlines, (query.deadline_ns - lead_ns, query.id, lane))

    def in_lane(self, lane: int) -> int:
        return len(self._queues[lane])

    def oldest(self, lane: int) -> Query | None:
        return next(iter(self._queues[lane].values()), None)

    def first(self, lane: int, count: int) -> tuple[int, ...]:
        return tuple(islice(self._queues[lane], count))

    def oldest_of_any(self) -> Query | None:
        heads = [next(iter(queue.values())) for queue in self._queues if queue]
        return min(heads, key=_by_id, default=None)

    def first_of_any(self, count: int) -> tuple[int, tuple[int, ...]]:
        """The ids that came first, whatever their lane, behind the longest lane among them."""
        ids: list[int] = []
        for queue in self._queues:
            ids += islice(queue, count)
        ids.sort()
        del ids[count:]
        last = ids[-1] if ids else -1
        longest = max(
            (lane for lane, queue in enumerate(self._queues) if queue and next(iter(queue)) <= last), default=0
        )
        return longest, tuple(ids)

    def find(self, query_id: int) -> tuple[int, Query] | None:
        """The query and its own lane."""
        for lane, queue in enumerate(self._queues):
            query = queue.get(query_id)
            if query is not None:
                return lane, query
        return None

    def take(self, lane: int, query_ids: tuple[int, ...]) -> tuple[Query, ...] | None:
        """Takes these queries out, all or (if one is named twice, or does not wait in this lane or a shorter one) none."""
        queue, wanted = self._queues[lane], set(query_ids)
        if len(wanted) < len(query_ids):
            return None
        if wanted <= queue.keys():
            self.count -= len(query_ids)
            return tuple(map(queue.pop, query_ids))
        queues = self._queues[: lane + 1]
        found: list[tuple[dict[int, Query], Query]] = []
        for query_id in query_ids:  # on the way of every mixed batch: no calls
            for queue in queues:
                query = queue.get(query_id)
                if query is not None:
                    found.append((queue, query))
                    break
            else:
                return None
        self.count -= len(found)
        for queue, query in found:
            del queue[query.id]
        return tuple([query for _, query in found])

    def remove(self, lane: int, query_id: int) -> Query:
        self.count -= 1
        return self._queues[lane].pop(query_id)

    @property
    def next_deadline_ns(self) -> float:
        """No query that waits has to be taken out before this."""
        return self.deadlines[0][0] if self.deadlines else math.inf

    def soonest_deadline_ns(self) -> int | None:
        """By when the first of those that still wait has to be taken out; None if none has to."""
        deadlines = self.deadlines
        while deadlines and deadlines[0][1] not in self._queues[deadlines[0][2]]:
            heapq.heappop(deadlines)
        return deadlines[0][0] if deadlines else None

    def expired(self, now_ns: int) -> list[Query]:
        """Takes out the queries that had to be by now, in that order."""
        gone = []
        while self.deadlines and self.deadlines[0][0] < now_ns:
            _, query_id, lane = heapq.heappop(self.deadlines)
            if query_id in self._queues[lane]:
                gone.append(self.remove(lane, query_id))
        return gone

    def clear(self) -> list[Query]:
        """Takes out everything, in order of id."""
        everyone = sorted((query for queue in self._queues for query in queue.values()), key=lambda query: query.id)
        for queue in self._queues:
            queue.clear()
        self.deadlines.clear()
        self.count = 0
        return everyone

    def ids(self) -> list[int]:
        return [query_id for queue in self._queues for query_id in queue]
