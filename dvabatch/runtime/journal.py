"""The journal of a run: what happened to each query, and what was launched, in arrays that stay small at a million queries."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dvabatch.batching.commands import Launch
from dvabatch.batching.profile import Profile

Integers: TypeAlias = Sequence[int] | NDArray[np.int64] | NDArray[np.int32]


class Outcome(IntEnum):
    """How a query ended."""

    COMPLETED = 0
    FAILED = 1
    REJECTED = 2
    CANCELLED = 3
    OPEN = 4  # it has not ended yet


_OPEN, _COMPLETED = int(Outcome.OPEN), int(Outcome.COMPLETED)  # plain integers: an enumeration's compare slower


@dataclass(slots=True)
class StageWork:
    """Launches of one stage: how many of each size, and rows.

    With lengths, a query shorter than its lane fills its row in part: useful is its length over the lane's.
    """

    batch_sizes: dict[int, int]
    rows_useful: float
    rows_computed: float

    def add(self, rows: int, launches: int, useful: float, computed: float) -> None:
        self.batch_sizes[rows] = self.batch_sizes.get(rows, 0) + launches
        self.rows_useful += useful
        self.rows_computed += computed


class Journal:
    """One entry a query, by id from 0; instants are integer nanoseconds from the run's anchor, -1 where nothing happened."""

    def __init__(self, queries: int, lengths: Integers | None = None) -> None:
        self.arrival_ns = array("q", bytes(8 * queries))
        self.admitted_ns = array("q", (-1,)) * queries
        self.done_ns = array("q", (-1,)) * queries
        self.outcome = bytearray((Outcome.OPEN,)) * queries
        self.late_free = bytearray(queries)  # 1 where an executor of stage 0 was free while the query went unseen
        self.held: list[int] = []  # queries that a bound on concurrency held back
        self._entered_through = array("i", (0,)) * queries  # the last stage of the launch that a query entered by
        self.lengths = None if lengths is None else array("i", np.asarray(lengths, np.int32).tobytes())
        # By first stage, last stage, lane and rows: how many launches, and the sum of their queries' lengths.
        self._launches: dict[tuple[int, int, int, int], int] = {}
        self._tokens: dict[tuple[int, int, int, int], int] = {}
        self.reasons: dict[str, int] = {}
        self.bytes_copied = 0
        self.busy_ns = 0
        self.span_ns = 0
        self.decision_ns = array("q")
        self.queueing_ns = array("q")  # by launch
        # By launch: through how many stages it went, and with how many rows; 0 where it did not bring any to the beginning of
        # its set, or nothing had been under way.
        self._queued_through = array("b")
        self._queued_rows = array("i")

    @property
    def count(self) -> int:
        return len(self.outcome)

    def arrived_on_time(self, arrivals_ns: Integers) -> None:
        """Every query was seen the instant it was due, as in a simulation."""
        instants = np.asarray(arrivals_ns, np.int64)
        np.frombuffer(self.arrival_ns, np.int64)[:] = instants
        np.frombuffer(self.admitted_ns, np.int64)[:] = instants

    def held_back(self, query_ids: Sequence[int]) -> None:
        """These were admitted late because of a bound on concurrency: no executor that was free meanwhile counts against it."""
        self.held += query_ids
        for query_id in query_ids:
            self.late_free[query_id] = 0

    def ended(self, query_id: int, outcome: Outcome, now_ns: int) -> None:
        """A query has come to its end.

        Raises:
            ValueError: it had ended before: a defect of the machine or the driver.
        """
        if self.outcome[query_id] != Outcome.OPEN:
            raise ValueError(
                f"query {query_id} ended twice: {Outcome(self.outcome[query_id]).name}, then {outcome.name}"
            )
        self.outcome[query_id] = outcome
        self.done_ns[query_id] = now_ns

    def completed(self, query_ids: Sequence[int], now_ns: int) -> None:
        """These queries were answered together."""
        outcome, done_ns = self.outcome, self.done_ns
        for query_id in query_ids:
            if outcome[query_id] != _OPEN:
                self.ended(query_id, Outcome.COMPLETED, now_ns)  # which refuses it
            outcome[query_id] = _COMPLETED
            done_ns[query_id] = now_ns

    def because(self, reason: str, count: int = 1) -> None:
        """Counts why queries got no answer."""
        self.reasons[reason] = self.reasons.get(reason, 0) + count

    def launched(self, launch: Launch) -> None:
        """Counts a launch."""
        key = launch.first_stage, launch.last_stage, launch.lane, len(launch.query_ids)
        self._launches[key] = self._launches.get(key, 0) + 1
        if launch.last_stage and not launch.first_stage:
            for query_id in launch.query_ids:
                self._entered_through[query_id] = launch.last_stage
        if self.lengths is not None:
            tokens = sum([self.lengths[query_id] for query_id in launch.query_ids])
            self._tokens[key] = self._tokens.get(key, 0) + tokens

    def queued(self, launch: Launch, took_ns: int, *, idle: bool = False) -> None:
        """A launch kept the driver's thread for so long; `idle` says that nothing had been under way."""
        self.queueing_ns.append(took_ns)
        alike = launch.first_stage == launch.place.first_row == 0 and not idle
        self._queued_through.append(1 + launch.last_stage if alike else 0)
        self._queued_rows.append(launch.place.rows if alike else 0)

    def queueing_of_ns(self, stages: int) -> dict[int, NDArray[np.int64]]:
        """By rows, for how long each launch through the first so many stages kept it that begins its buffer set.

        Those of as many rows all ask for the same calls, a transfer to the device among them, which later stages do without:
        what they take tells the host's pace, whatever the policy and the load. A launch that found nothing under way is left
        out: the longer the thread has had nothing to queue, the longer it takes.
        """
        rows = np.frombuffer(self._queued_rows, np.int32) * (np.frombuffer(self._queued_through, np.int8) == stages)
        took_ns = np.frombuffer(self.queueing_ns, np.int64)
        return {int(each): np.asarray(took_ns[rows == each], np.int64) for each in np.unique(rows) if each}

    def launches(self) -> dict[tuple[int, int, int, int], int]:
        """How many launches there were so far, by first stage, last stage, lane and rows; any thread may ask.

        To copy a dictionary is one step of the interpreter, and cannot meet one that is being written.
        """
        return self._launches.copy()

    @property
    def answers(self) -> int:
        """How many queries got one."""
        return self.outcome.count(_COMPLETED)

    def rows_whole(self, last_stage: int) -> int:
        """Answers that went through all stages in one launch, as in ordinary batching."""
        through = np.frombuffer(self._entered_through, np.int32) == last_stage
        return int(np.count_nonzero(through & (np.frombuffer(self.outcome, np.uint8) == _COMPLETED)))

    def stages(self, profile: Profile) -> list[StageWork]:
        """What was launched in every stage, and what of its rows was padding."""
        works = [StageWork({}, 0.0, 0.0) for _ in range(profile.stages)]
        for (first, last, lane, rows), launches in sorted(self._launches.items()):
            longest = profile.lanes[lane]
            useful = float(rows * launches)
            if longest is not None and self.lengths is not None:
                useful = self._tokens[first, last, lane, rows] / longest
            for stage in range(first, last + 1):
                works[stage].add(rows, launches, useful, profile.padded(rows) * launches)
        return works
