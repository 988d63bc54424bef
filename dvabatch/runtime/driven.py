"""Batches through the driver of a real run, all alike, for timing: lone ones, in a queue, or as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.place import Place
from dvabatch.batching.profile import NS_PER_MS, Profile
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.loops import random_arrivals_ns, round_ns, usual_ns
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.polling import PollingDriver
from dvabatch.runtime.profiling import check_answered
from engines.base import Array

_LENGTHS: Final = 4096  # queries of a lane, until lengths repeat themselves
_NS_PER_S: Final = 1e9
_FEWEST: Final = 10
_LEAST_ALONE: Final = 2

Nanoseconds: TypeAlias = npt.NDArray[np.int64]


class Queue(NamedTuple):
    """Batches of a queue that never runs dry, in nanoseconds."""

    round_ns: float  # how long each takes to come round
    busy_ns: float  # for which all decisions and launches of one keep the driver's thread: in the rest it has time for others
    queueing_ns: float  # for which queueing the launch that it enters by does


class Crowded(NamedTuple):
    """Batches beside each other, in nanoseconds."""

    queueing_ns: Nanoseconds  # for which queueing each launch kept the driver's thread
    beside_others_ns: Nanoseconds  # the same of those launches that found others under way
    response_ns: Nanoseconds


class Driven:
    """Runs of a polling driver on open stages; each takes a draft of the profile, which its machine needs."""

    def __init__(
        self,
        launcher: DeviceLauncher,
        table: DeviceTable,
        limits: Limits,
        row: Callable[[int, int | None], Mapping[str, Array]],
    ) -> None:
        """`row` gives the inputs of a query by its number and length, as the pool of a run does: of all lengths, from wherever
        they lie, they keep the host busier than the same few would."""
        self._launcher = launcher
        self._table = table
        self._limits = limits
        self._row = row
        self._lengths: dict[int, list[int] | None] = {}  # by lane, of queries one after the other

    def lone_ns(self, draft: Profile, policy: Policy, lasting_s: float) -> float:
        """The usual response of queries that find the runtime idle, under a light load of the first lane that lasts.

        A device that has just been at work answers sooner than one that has had little to do for some hundred milliseconds, and
        the longer it rests between two queries, the longer the next one takes: by a fifth on a small network. So they come at
        random, as in a run.
        """
        gap_ns = 4 * draft.span_ns(0, self._limits.last_stage, 1, 0)
        count = max(_FEWEST, round(lasting_s * _NS_PER_S / gap_ns))
        arrivals_ns = np.asarray(random_arrivals_ns(count, gap_ns, seed=1))
        journal = self._run(draft, policy, 1, arrivals_ns.tolist())
        done_ns = np.asarray(journal.done_ns, np.int64)
        settled = _unsettled(count)
        spent_ns = (done_ns - arrivals_ns)[settled:]
        alone = arrivals_ns[settled:] > np.maximum.accumulate(done_ns)[settled - 1 : -1]
        return float(np.median(spent_ns[alone] if alone.any() else spent_ns))

    def queued(self, draft: Profile, policy: Policy, batch: int, count: int, at_once: int = 1, lane: int = 0) -> Queue:
        """What is usual of a queue of `count` batches, of which `at_once` are always under way.

        What keeps the thread is told for one at a time, or where each batch has one launch.

        Raises:
            EngineError: some queries got no answer.
        """
        journal = self._run(draft, policy, batch, [0] * count, lane)
        settled = _unsettled(count)
        done_ns = np.sort(self._done_ns(journal, batch))
        # One at a time, so that a row has the launches of one batch: a first one, which brings its inputs along, and others.
        queueing_ns = np.asarray(journal.queueing_ns, np.int64).reshape(count, -1)[settled:]
        decision_ns = np.asarray(journal.decision_ns, np.int64)
        decisions = len(decision_ns) / count
        return Queue(
            round_ns(done_ns[settled:], at_once),
            usual_ns(queueing_ns.sum(axis=1)) + decisions * usual_ns(decision_ns[round(settled * decisions) :]),
            usual_ns(queueing_ns[:, 0]),
        )

    def done_ns(
        self, draft: Profile, policy: Policy, batch: int, arrivals_ns: Sequence[int], lane: int = 0
    ) -> npt.NDArray[np.int64]:
        """When each of the batches that came at these instants, whole, had been answered.

        Raises:
            EngineError: some queries got no answer.
        """
        return self._done_ns(self._run(draft, policy, batch, arrivals_ns, lane), batch)

    def crowded(self, draft: Profile, policy: Policy, batch: int, arrivals_ns: Sequence[int], lane: int = 0) -> Crowded:
        """Batches that came at these instants, whole, some of them while others were under way.

        Raises:
            EngineError: some queries got no answer.
        """
        journal = self._run(draft, policy, batch, arrivals_ns, lane)
        return Crowded(
            np.asarray(journal.queueing_ns, np.int64),
            journal.queueing_of_ns(self._limits.stages).get(batch, np.zeros(0, np.int64)),
            self._done_ns(journal, batch) - np.asarray(arrivals_ns),
        )

    def alone_ns(self, batch: int, lasting_s: float, expected_ns: float, lane: int = 0) -> float:
        """What each of some batches takes that follow each other on one stream, with nothing beside them; they are expected to
        last so long."""
        launches = max(_LEAST_ALONE, round(lasting_s * _NS_PER_S / expected_ns))
        return repeated_ns(self._launcher, 0, self._limits.last_stage, Place(0, 0, batch), lane, launches)

    @staticmethod
    def _done_ns(journal: Journal, batch: int) -> npt.NDArray[np.int64]:
        return np.asarray(journal.done_ns, np.int64)[batch - 1 :: batch]

    def _run(
        self,
        draft: Profile,
        policy: Policy,
        batch: int,
        arrivals_ns: Sequence[int],
        lane: int = 0,
    ) -> Journal:
        machine = Machine(self._limits, draft, policy)
        queries = len(arrivals_ns) * batch
        of_lane = self._lengths_of(lane)
        lengths = None if of_lane is None else [of_lane[query_id % _LENGTHS] for query_id in range(queries)]
        journal = Journal(queries, lengths)
        driver = PollingDriver(machine, self._table, JournalObserver(journal))
        row = self._row
        self._launcher.serve(lambda query_id: row(query_id, None if lengths is None else lengths[query_id]), {})
        driver.set_anchor(time.perf_counter_ns() + NS_PER_MS)
        driver.run(self._launcher, PullArrivals([arrivals_ns[index // batch] for index in range(queries)], lengths))
        check_answered(journal)
        return journal

    def _lengths_of(self, lane: int) -> list[int] | None:
        """Of queries one after the other; the first time, payloads of these lengths are looked at, as before a run."""
        if lane not in self._lengths:
            shorter, longest = self._limits.lanes[lane - 1] if lane else 0, self._limits.lanes[lane]
            lengths = self._lengths[lane] = None if longest is None else _spread(shorter or 0, longest)
            of_queries = enumerate([None] * _LENGTHS if lengths is None else lengths)
            self._launcher.know(((self._row(number, length), lane) for number, length in of_queries), {})
        return self._lengths[lane]


def _spread(shorter: int, longest: int) -> list[int]:
    """All lengths above one and up to another, as often as each other, in no order."""
    rising = np.linspace(shorter + 1, longest, _LENGTHS).round().astype(int)
    shuffled: list[int] = np.random.default_rng(longest).permutation(rising).tolist()
    return shuffled


def repeated_ns(launcher: DeviceLauncher, first: int, last: int, place: Place, lane: int, count: int) -> float:
    """What a span takes of so many that are queued one behind the other, on the first track."""
    began_ns = time.perf_counter_ns()
    for _ in range(count):
        launcher.repeat(0, first, last, place, lane)
    launcher.synchronize(0)
    return (time.perf_counter_ns() - began_ns) / count


def _unsettled(count: int) -> int:
    """Of so many: the first ones met plain launches and their capture."""
    return count // 3
