"""Faults on purpose: what is to go wrong in a run, drawn from its seed, alike in simulation and on real engines.

Lots are drawn by number: the n-th query, the n-th launch of a stage. So every policy of a comparison loses the same queries to
cancellation, and a run that decides the same meets the same.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import DeviceLost, Event, QueryCancelled
from dvabatch.batching.query import Query
from dvabatch.runtime.instants import NEVER

_BLOCK = 1024
_REASON = "injected"


@dataclass(frozen=True, slots=True)
class Slow:
    """A stage takes `factor` times as long in launches that start from `from_ns` until before `until_ns`."""

    stage: int
    factor: float
    from_ns: int = 0
    until_ns: int = NEVER

    def __post_init__(self) -> None:
        if self.stage < 0 or not 1 <= self.factor < math.inf or not 0 <= self.from_ns < self.until_ns:
            raise ValueError(f"{self}: wanted a stage from 0, a factor of 1 or more, and an end behind its beginning")


@dataclass(frozen=True, slots=True)
class _Launches:
    """Launches of a stage: one by its number, from 0, or each with a probability."""

    stage: int
    rate: float = 0.0
    launch: int | None = None

    def __post_init__(self) -> None:
        if self.stage < 0 or not 0 <= self.rate <= 1 or (self.launch is None) == (self.rate == 0):
            raise ValueError(f"{self}: wanted a stage from 0, and either a rate up to 1 or the number of a launch")

    def meets(self, number: int, lot: float) -> bool:
        """Whether it befalls launch `number` of its stage, which drew this lot."""
        return number == self.launch if self.launch is not None else lot < self.rate


@dataclass(frozen=True, slots=True)
class Failing(_Launches):
    """A stage ends without a result."""


@dataclass(frozen=True, slots=True)
class Hanging(_Launches):
    """A stage never ends."""


@dataclass(frozen=True, slots=True)
class _Queries:
    """Each query with a probability, and an instant after its arrival."""

    rate: float
    after_ns: int

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1 or self.after_ns < 0:
            raise ValueError(f"{self}: wanted a rate above 0 and up to 1, and an instant from 0 ns")


@dataclass(frozen=True, slots=True)
class Cancelling(_Queries):
    """A query is given up this long after its arrival, wherever it is by then."""


@dataclass(frozen=True, slots=True)
class Hurrying(_Queries):
    """A query has a deadline this long after its arrival, if it has none that is earlier."""


@dataclass(frozen=True, slots=True)
class LosingDevice:
    """Nothing runs any more from this instant on."""

    at_ns: int

    def __post_init__(self) -> None:
        if self.at_ns < 0:
            raise ValueError(f"{self}: wanted an instant from 0 ns")


Fault: TypeAlias = Slow | Failing | Hanging | Cancelling | Hurrying | LosingDevice


class Fate(NamedTuple):
    """What befalls one launch: its stages run up to `ends_at`, which fails or hangs; `slow` are (stage, factor)."""

    ends_at: int | None
    hangs: bool
    slow: tuple[tuple[int, float], ...]

    @property
    def reason(self) -> str:
        return f"stage {self.ends_at} failed ({_REASON})"

    def factor(self, stage: int) -> float:
        """How many times as long this stage takes."""
        return math.prod(factor for slowed, factor in self.slow if slowed == stage)


class Faults:
    """What befalls one run. One thread asks; whoever carries launches out takes each launch's fate once."""

    def __init__(self, plan: Sequence[Fault], seed: int) -> None:
        self._slow = [fault for fault in plan if isinstance(fault, Slow)]
        self._ending = [
            (fault, _Lots(seed, number)) for number, fault in enumerate(plan) if isinstance(fault, _Launches)
        ]
        self._queries = [
            (fault, _Lots(seed, number)) for number, fault in enumerate(plan) if isinstance(fault, _Queries)
        ]
        self._seen: dict[int, int] = {}  # launches so far, by stage
        self._fates: dict[int, Fate] = {}
        self._agenda: list[tuple[int, int]] = [  # a heap of (instant, query, or -1 for the device)
            (fault.at_ns, -1) for fault in plan if isinstance(fault, LosingDevice)
        ]
        heapq.heapify(self._agenda)
        self.counts = {"slow": 0, "fail": 0, "hang": 0, "cancel": 0, "deadline": 0, "device_lost": 0}

    @property
    def next_ns(self) -> int:
        """When the next cancellation or loss is due."""
        return self._agenda[0][0] if self._agenda else NEVER

    def due(self, now_ns: int) -> list[Event]:
        """The cancellations and losses whose instant has come."""
        events: list[Event] = []
        while self._agenda and self._agenda[0][0] <= now_ns:
            _, query_id = heapq.heappop(self._agenda)
            if query_id < 0:
                self.counts["device_lost"] += 1
                events.append(DeviceLost(_REASON))
            else:
                self.counts["cancel"] += 1
                events.append(QueryCancelled(query_id))
        return events

    def meet(self, query: Query) -> Query:
        """A query that has come: with the deadline that it shall have, its cancellation planned."""
        deadline_ns = query.deadline_ns
        for fault, lots in self._queries:
            if lots[query.id] >= fault.rate:
                continue
            at_ns = query.arrival_ns + fault.after_ns
            if isinstance(fault, Cancelling):
                heapq.heappush(self._agenda, (at_ns, query.id))
            elif deadline_ns is None or at_ns < deadline_ns:
                deadline_ns = at_ns
                self.counts["deadline"] += 1
        if deadline_ns == query.deadline_ns:
            return query
        return Query(query.id, query.arrival_ns, query.length, deadline_ns)

    def strike(self, launch: Launch, now_ns: int) -> None:
        """A launch is about to be started: decides its fate, for `take`."""
        span = range(launch.first_stage, launch.last_stage + 1)
        numbers = {stage: self._seen.get(stage, 0) for stage in span}
        self._seen.update({stage: number + 1 for stage, number in numbers.items()})
        ends = [
            (fault.stage, isinstance(fault, Failing))  # of the two at one stage, it hangs
            for fault, lots in self._ending
            if fault.stage in span and fault.meets(numbers[fault.stage], lots[numbers[fault.stage]])
        ]
        ends_at, fails = min(ends, default=(None, True))
        last = launch.last_stage if ends_at is None else ends_at - (not fails)
        slow = tuple(
            (fault.stage, fault.factor)
            for fault in self._slow
            if launch.first_stage <= fault.stage <= last and fault.from_ns <= now_ns < fault.until_ns
        )
        if ends_at is not None:
            self.counts["fail" if fails else "hang"] += 1
        if slow:
            self.counts["slow"] += 1
        if ends_at is not None or slow:
            self._fates[launch.id] = Fate(ends_at, not fails, slow)

    def take(self, launch_id: int) -> Fate | None:
        """The fate of a launch, once; None where nothing befalls it."""
        return self._fates.pop(launch_id, None)


class _Lots:
    """Evenly distributed numbers from 0 to 1 by index, the same for the same seed in whatever order they are asked for.

    They are asked for nearly in order: one block is kept.
    """

    def __init__(self, *seed: int) -> None:
        self._seed = seed
        self._block = -1
        self._lots: list[float] = []

    def __getitem__(self, index: int) -> float:
        block, offset = divmod(index, _BLOCK)
        if block != self._block:
            self._block = block
            self._lots = np.random.default_rng((*self._seed, block)).random(_BLOCK).tolist()
        return self._lots[offset]
