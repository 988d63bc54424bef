"""A device on paper: it knows what lies in every row and who is on every executor, and believes no bookkeeping but its own."""

from __future__ import annotations

from dataclasses import dataclass

from dvabatch.batching.commands import Copy, Launch
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from tests.laws.violations import Violation

POISON = -1  # nobody's data
WRITING = -2  # a launch in flight writes here


@dataclass(slots=True)
class Flight:
    """A launch between its command and its end."""

    launch: Launch
    started: bool = False


class PaperDevice:
    """Rows hold the id of the query whose data lies there, at each boundary; everything else is poison.

    Boundary 0 holds the inputs, written when a launch of stage 0 starts; stage s reads all boundaries up to s (skip
    connections) and writes s + 1, poisoned while it runs. So a wrong row, a row reused early or a stage left out shows.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        rows = limits.buffer_sets * limits.max_batch
        self._rows = [[POISON] * (limits.stages + 1) for _ in range(rows)]
        self.owner: dict[tuple[int, int], int | None] = {
            (stage, index): None for stage in range(limits.stages) for index in range(limits.executors_per_stage)
        }
        self.lost_executors: set[tuple[int, int]] = set()
        self.lost_sets: set[int] = set()
        self.in_flight: dict[int, Flight] = {}
        self._follower: dict[int, int] = {}

    # Commands -----------------------------------------------------------------------------------------------------

    def accept(self, launch: Launch) -> bool:
        """Takes a launch in; answers whether it starts now (and not behind another)."""
        if launch.id in self.in_flight:
            raise Violation(f"{launch} has the id of a launch in flight")
        if len(launch.executors) != launch.last_stage - launch.first_stage + 1:
            raise Violation(f"{launch} holds {len(launch.executors)} executors")
        self._check_rows(launch.place, f"{launch}")
        flight = self.in_flight[launch.id] = Flight(launch)
        if launch.after is None:
            self._begin(flight, inherited=False)
            return True
        ahead = self.in_flight.get(launch.after)
        if ahead is None:
            raise Violation(f"{launch} waits for a launch that is not in flight")
        if launch.after in self._follower:
            raise Violation(f"{launch} is the second one behind {launch.after}")
        held = dict(zip(_span(ahead.launch), ahead.launch.executors, strict=True))
        for stage, index in zip(_span(launch), launch.executors, strict=True):
            if held.get(stage) != index:
                raise Violation(f"{launch} counts on executor {index} of stage {stage}, which {launch.after} lacks")
        self._follower[launch.after] = launch.id
        return False

    def copy(self, copy: Copy) -> None:
        source, target = copy.source, copy.target
        if source.rows != target.rows or source.rows < 1:
            raise Violation(f"{copy} copies {source.rows} rows to {target.rows}")
        if source.buffer_set == target.buffer_set and _overlap(source, target):
            raise Violation(f"{copy} overlaps itself")
        self._check_rows(source, f"{copy}")
        self._check_rows(target, f"{copy}")
        for row in range(source.rows):
            whence, where = self._row(source, row), self._row(target, row)
            where[:] = whence[: copy.stage + 1] + [POISON] * (self._limits.stages - copy.stage)

    def answer(self, place: Place, row: int) -> int:
        """Whose answer lies in this row behind the last stage."""
        return self._row(place, row)[self._limits.stages]

    # What happens on the device -----------------------------------------------------------------------------------

    def end(self, launch_id: int, *, failed: bool = False) -> Launch | None:
        """A launch ends, its results are in its rows (poison if it failed); answers with the one that now starts."""
        flight = self.in_flight.pop(launch_id)
        launch = flight.launch
        for row, query_id in enumerate(launch.query_ids):
            data = self._row(launch.place, row)
            for stage in _span(launch):
                if data[stage + 1] != WRITING:
                    raise Violation(f"row {row} of {launch} was reused by {data[stage + 1]} while it ran")
                data[stage + 1] = POISON if failed else query_id
        self._free(launch)
        follower_id = self._follower.pop(launch_id, None)
        if follower_id is None:
            return None
        follower = self.in_flight[follower_id]
        self._begin(follower, inherited=True)
        return follower.launch

    def lose(self, stage: int, index: int) -> Launch | None:
        """An executor dies with what runs on it: answers with the launch that will never end. Its set is unsafe for good."""
        self.lost_executors.add((stage, index))
        launch_id = self.owner[stage, index]
        if launch_id is None:
            return None
        launch = self.in_flight.pop(launch_id).launch
        self.lost_executors.update(zip(_span(launch), launch.executors, strict=True))
        self.lost_sets.add(launch.place.buffer_set)
        self._free(launch)
        follower_id = self._follower.pop(launch_id, None)
        while follower_id is not None:  # nothing queued behind it, at whatever remove, ever starts
            del self.in_flight[follower_id]
            follower_id = self._follower.pop(follower_id, None)
        return launch

    def add(self, stage: int) -> int:
        """A fresh executor of a stage: its index is that of nobody before."""
        index = sum(at == stage for at, _ in self.owner)
        self.owner[stage, index] = None
        return index

    def lose_everything(self) -> list[Launch]:
        """The device is gone: answers with what had started."""
        gone = [flight.launch for flight in self.in_flight.values() if flight.started]
        for launch in gone:
            self.lost_executors.update(zip(_span(launch), launch.executors, strict=True))
            self.lost_sets.add(launch.place.buffer_set)
            self._free(launch)
        self.in_flight.clear()
        self._follower.clear()
        return gone

    def usable(self, stage: int) -> int:
        return sum(each not in self.lost_executors for each in self.owner if each[0] == stage)

    def idle(self, stage: int) -> int:
        return sum(
            owner is None and each not in self.lost_executors for each, owner in self.owner.items() if each[0] == stage
        )

    # Within -------------------------------------------------------------------------------------------------------

    def _begin(self, flight: Flight, *, inherited: bool) -> None:
        launch = flight.launch
        flight.started = True
        for stage, index in zip(_span(launch), launch.executors, strict=True):
            if (stage, index) in self.lost_executors:
                raise Violation(f"{launch} runs on executor {index} of stage {stage}, which is lost")
            if self.owner[stage, index] is not None:
                raise Violation(f"{launch} takes executor {index} of stage {stage} from {self.owner[stage, index]}")
            self.owner[stage, index] = launch.id
        for row, query_id in enumerate(launch.query_ids):
            data = self._row(launch.place, row)
            if launch.first_stage == 0:
                data[:] = [query_id] + [POISON] * self._limits.stages
            read = data[: launch.first_stage + 1]
            if any(value != query_id for value in read):
                raise Violation(
                    f"row {row} of {launch} should hold query {query_id}, but holds {read} (inherited: {inherited})"
                )
            data[launch.first_stage + 1 :] = [POISON] * (self._limits.stages - launch.first_stage)
            for stage in _span(launch):
                data[stage + 1] = WRITING

    def _free(self, launch: Launch) -> None:
        for stage, index in zip(_span(launch), launch.executors, strict=True):
            self.owner[stage, index] = None

    def _check_rows(self, place: Place, who: str) -> None:
        """Rows of the set, of no lost batch, and of no launch in flight."""
        if not (0 <= place.buffer_set < self._limits.buffer_sets and place.first_row >= 0 and place.rows >= 1):
            raise Violation(f"{who}: there is no {place}")
        if place.end_row > self._limits.max_batch:
            raise Violation(f"{who}: {place} ends behind row {self._limits.max_batch}")
        for flight in self.in_flight.values():
            other = flight.launch.place
            if other.buffer_set == place.buffer_set and _overlap(other, place):
                raise Violation(f"{who}: {place} overlaps {other} of launch {flight.launch.id}, which is in flight")
        for row in range(place.rows):
            if WRITING in self._row(place, row):
                raise Violation(f"{who}: row {row} of {place} belongs to a launch that was lost")

    def _row(self, place: Place, row: int) -> list[int]:
        return self._rows[place.buffer_set * self._limits.max_batch + place.first_row + row]


def _span(launch: Launch) -> range:
    return range(launch.first_stage, launch.last_stage + 1)


def _overlap(one: Place, other: Place) -> bool:
    return one.first_row < other.end_row and other.first_row < one.end_row
