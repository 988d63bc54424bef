"""Batches through the driver of a real run, all alike, for timing: lone ones, in a queue, or as they come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.profile import NS_PER_MS, Profile
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.loops import random_arrivals_ns, round_ns
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.polling import Pollable, PollingDriver
from dvabatch.runtime.profiling import check_answered
from engines.base import Array

_POOL_ROWS: Final = 64  # payloads, as many as the pool of a run has
_NS_PER_S: Final = 1e9
_FEWEST: Final = 10


class Driven:
    """Runs of a polling driver on open stages; each takes a draft of the profile, which its machine needs."""

    def __init__(
        self, launcher: DeviceLauncher, table: DeviceTable, limits: Limits, payloads: Sequence[Mapping[str, Array]]
    ) -> None:
        """`payloads[lane]` is an input batch of 1, such as queries of that lane bring."""
        self._launcher = launcher
        self._table = table
        self._limits = limits
        self._payloads = payloads
        self._pools: dict[int, list[dict[str, Array]]] = {}  # by lane

    def lone_ns(self, draft: Profile, policy: Policy, lasting_s: float) -> float:
        """Median response of queries that find the runtime idle, under a light load of the first lane that lasts.

        A device that has just been at work answers sooner than one that has had little to do for some hundred milliseconds, and
        the longer it rests between two queries, the longer the next one takes: by a fifth on a small network. So they come at
        random, as in a run.
        """
        gap_ns = 4 * draft.span_ns(0, self._limits.last_stage, 1, 0)
        count = max(_FEWEST, round(lasting_s * _NS_PER_S / gap_ns))
        arrivals_ns = np.asarray(random_arrivals_ns(count, gap_ns, seed=1))
        done_ns = self.done_ns(draft, policy, 1, arrivals_ns.tolist())
        settled = _unsettled(count)
        spent_ns = (done_ns - arrivals_ns)[settled:]
        lone = arrivals_ns[settled:] > np.maximum.accumulate(done_ns)[settled - 1 : -1]
        return float(np.median(spent_ns[lone] if lone.any() else spent_ns))

    def busy_ns(self, draft: Profile, policy: Policy, count: int) -> float:
        """For how long a lone query of a queue of `count` keeps the driver's thread busy: what is decided and queued for it.

        In what else it takes, on its way to the device, there and back, the thread has time for others.
        """
        launcher = _Timed(self._launcher)
        journal = self._run(launcher, draft, policy, 1, [0] * count)
        settled = _unsettled(count)
        launched_ns = np.asarray(launcher.took_ns[len(launcher.took_ns) * settled // count :])
        decided_ns = np.asarray(journal.decision_ns[len(journal.decision_ns) * settled // count :])
        return float(launched_ns.sum() + decided_ns.sum()) / (count - settled)

    def queued_ns(
        self, draft: Profile, policy: Policy, batch: int, count: int, at_once: int = 1, lane: int = 0
    ) -> float:
        """How long each of a queue of `count` batches takes to come round, of which `at_once` are always under way."""
        done_ns = np.sort(self.done_ns(draft, policy, batch, [0] * count, lane))
        return round_ns(done_ns[_unsettled(count) :], at_once)

    def done_ns(
        self, draft: Profile, policy: Policy, batch: int, arrivals_ns: Sequence[int], lane: int = 0
    ) -> npt.NDArray[np.int64]:
        """When each of the batches that came at these instants, whole, had been answered.

        Raises:
            EngineError: some queries got no answer.
        """
        journal = self._run(self._launcher, draft, policy, batch, arrivals_ns, lane)
        return np.asarray(journal.done_ns, np.int64)[batch - 1 :: batch]

    def _run(
        self,
        launcher: Pollable,
        draft: Profile,
        policy: Policy,
        batch: int,
        arrivals_ns: Sequence[int],
        lane: int = 0,
    ) -> Journal:
        machine = Machine(self._limits, draft, policy)
        length = self._limits.lanes[lane]
        queries = len(arrivals_ns) * batch
        lengths = None if length is None else [length] * queries
        journal = Journal(queries, lengths)
        driver = PollingDriver(machine, self._table, JournalObserver(journal))
        pool = self._pool(lane)
        self._launcher.serve(lambda query_id: pool[query_id % _POOL_ROWS], {})
        driver.set_anchor(time.perf_counter_ns() + NS_PER_MS)
        driver.run(launcher, PullArrivals([arrivals_ns[index // batch] for index in range(queries)], lengths))
        check_answered(journal)
        return journal

    def _pool(self, lane: int) -> list[dict[str, Array]]:
        """Payloads of queries as a run has them: page-locked neighbours, so that a batch of whole ones is one transfer, that
        nobody changes."""
        pool = self._pools.get(lane)
        if pool is None:
            payload = self._payloads[lane].items()
            rows = {name: self._launcher.pin(np.repeat(value[:1], _POOL_ROWS, axis=0)) for name, value in payload}
            for of in rows.values():
                of.setflags(write=False)
            # Each row is one array, the same each time: what it looks like on the device is kept by that.
            pool = self._pools[lane] = [{name: of[index] for name, of in rows.items()} for index in range(_POOL_ROWS)]
        return pool


class _Timed:
    """A launcher, and how long it took to queue each launch."""

    def __init__(self, launcher: Pollable) -> None:
        self._launcher = launcher
        self.took_ns: list[int] = []

    @property
    def in_flight(self) -> bool:
        return self._launcher.in_flight

    def start(self, launch: Launch) -> None:
        began_ns = time.perf_counter_ns()
        self._launcher.start(launch)
        self.took_ns.append(time.perf_counter_ns() - began_ns)

    def give_up(self, launch: Launch) -> bool:
        return self._launcher.give_up(launch)

    def poll(self) -> list[Event]:
        return self._launcher.poll()


def _unsettled(count: int) -> int:
    """Of so many: the first ones met plain launches and their capture."""
    return count // 3
