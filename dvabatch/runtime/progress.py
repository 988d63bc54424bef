"""How far a run has come, read from another thread while its driver goes on.

Nothing is locked and the driver does nothing for it: the journal's arrays and the machine's counters are read as they are, and
cursors remember what has been read, so that a look costs what has happened since the last one. Under the interpreter's lock a
reader sees whole values. `Journal` writes the instant of an end last, so whatever has one has its outcome too.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvabatch.batching.machine import Machine
from dvabatch.runtime.journal import Journal, Outcome

_RECENT_NS = 1_000_000_000  # rates and batches are those of the last second
# Response times are counted in bins, each 1 % wider than the one below: from 1 us to a quarter of an hour.
_FINEST_NS, _STEP, _BINS = 1_000, math.log(1.01), 2_080


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a run. Rates and batches are of the last second, counts and percentiles since the run's start."""

    now_ns: int  # from the run's anchor
    due: int  # queries whose scheduled instant has come
    ended: int
    completed: int
    in_flight: int  # admitted and not ended, those that wait to enter included
    waiting: int
    asked_rps: float
    achieved_rps: float
    p50_ns: float | None  # response times, to 1 %; None before the first answer
    p99_ns: float | None
    mean_batch: tuple[float | None, ...]  # rows a launch, by stage; None where nothing was launched
    operations_per_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Counts:
    """What rates are made of: two of them and the time in between."""

    now_ns: int
    due: int
    completed: int
    operations: dict[str, int]
    launches: dict[tuple[int, int, int, int], int]


class Progress:
    """Reads one run. It holds the journal's arrays, which never change their size."""

    def __init__(
        self, arrivals_ns: NDArray[np.int64], journal: Journal, machine: Machine, now_ns: Callable[[], int]
    ) -> None:
        """`now_ns()` is the time since the run's anchor, negative before it."""
        self._arrivals_ns = arrivals_ns
        self._admitted_ns = np.frombuffer(journal.admitted_ns, np.int64)
        self._done_ns = np.frombuffer(journal.done_ns, np.int64)
        self._outcome = np.frombuffer(journal.outcome, np.uint8)
        self._journal = journal
        self._machine = machine
        self._now_ns = now_ns
        self._admitted = 0  # queries are admitted in the order of their ids
        self._lowest = 0  # all below have ended
        self._counted = np.zeros(len(arrivals_ns), np.bool_)
        self._ended = self._completed = 0
        self._bins = np.zeros(_BINS, np.int64)
        self._recent = deque([_Counts(0, 0, 0, {}, {})])

    @property
    def offered(self) -> int:
        """Queries of the whole schedule."""
        return len(self._arrivals_ns)

    @property
    def lasts_ns(self) -> int:
        """From the anchor to the last scheduled arrival."""
        return int(self._arrivals_ns[-1])

    @property
    def max_batch(self) -> int:
        return self._machine.limits.max_batch

    def read(self) -> Reading:
        """What has happened up to now; from one thread at a time."""
        now_ns = max(0, self._now_ns())
        due = int(np.searchsorted(self._arrivals_ns, now_ns, side="right"))
        self._follow(due)
        counts = _Counts(now_ns, due, self._completed, self._machine.operations.copy(), self._journal.launches())
        past = self._since(counts)
        seconds = (now_ns - past.now_ns) / 1e9
        return Reading(
            now_ns=now_ns,
            due=due,
            ended=self._ended,
            completed=self._completed,
            in_flight=self._admitted - self._ended,
            waiting=self._machine.ledger.waiting.count,
            asked_rps=_rate(due - past.due, seconds),
            achieved_rps=_rate(self._completed - past.completed, seconds),
            p50_ns=self._percentile_ns(0.5),
            p99_ns=self._percentile_ns(0.99),
            mean_batch=self._mean_batch(counts, past),
            operations_per_s={
                name: _rate(count - past.operations.get(name, 0), seconds) for name, count in counts.operations.items()
            },
        )

    def _follow(self, due: int) -> None:
        """Moves the cursors over what has been admitted and has ended since the last look."""
        unseen = np.flatnonzero(self._admitted_ns[self._admitted : due] < 0)
        self._admitted = self._admitted + int(unseen[0]) if len(unseen) else max(self._admitted, due)
        window = slice(self._lowest, self._admitted)
        fresh = self._lowest + np.flatnonzero((self._done_ns[window] >= 0) & ~self._counted[window])
        self._counted[fresh] = True
        self._ended += len(fresh)
        answered = fresh[self._outcome[fresh] == Outcome.COMPLETED]
        self._completed += len(answered)
        response_ns = np.maximum(self._done_ns[answered] - self._arrivals_ns[answered], _FINEST_NS)
        bins = np.minimum((np.log(response_ns / _FINEST_NS) / _STEP).astype(np.int64), _BINS - 1)
        self._bins += np.bincount(bins, minlength=_BINS)
        still = np.flatnonzero(~self._counted[window])
        self._lowest = self._lowest + int(still[0]) if len(still) else self._admitted

    def _since(self, counts: _Counts) -> _Counts:
        """The look that lies a second back, or the first there was."""
        recent = self._recent
        while len(recent) > 1 and recent[1].now_ns <= counts.now_ns - _RECENT_NS:
            recent.popleft()
        recent.append(counts)
        return recent[0]

    def _percentile_ns(self, share: float) -> float | None:
        """The nearest rank's bin, at its middle."""
        if not self._completed:
            return None
        found = int(np.searchsorted(np.cumsum(self._bins), math.ceil(share * self._completed)))
        return _FINEST_NS * math.exp((found + 0.5) * _STEP)

    def _mean_batch(self, counts: _Counts, past: _Counts) -> tuple[float | None, ...]:
        stages = self._machine.limits.stages
        launches, rows = [0] * stages, [0] * stages
        for key, total in counts.launches.items():
            fresh = total - past.launches.get(key, 0)
            first, last, _, size = key
            for stage in range(first, last + 1):
                launches[stage] += fresh
                rows[stage] += fresh * size
        return tuple(r / n if n else None for r, n in zip(rows, launches, strict=True))


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
