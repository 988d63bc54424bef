"""The books of a run, kept beside the machine's: what became of every query, and what each call of the machine may say."""

from __future__ import annotations

from dvabatch.batching.commands import Deliver, Fail, Forget, Launch, Reject
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from tests.laws.violations import Violation


class Books:
    """Each query's fate from the commands alone."""

    def __init__(self, limits: Limits, profile: Profile) -> None:
        self._limits = limits
        self._profile = profile
        self.arrived: dict[int, Query] = {}
        self.cancelled: set[int] = set()  # asked for
        self.ended: dict[int, str] = {}
        self.why: dict[int, str] = {}
        self.passed: dict[int, int] = {}  # stages that a query has behind it
        self.aboard: dict[int, int] = {}  # the launch that a query is in
        self.where: dict[int, tuple[Place, int]] = {}  # the row of its last launch
        self.members: dict[int, tuple[int, ...]] = {}  # of a batch, at its last launch
        self.first_launch: list[int] = []  # queries in the order of their first launch
        self.batch_sizes: dict[int, int] = {}
        self.first_rows: set[int] = set()  # where launches lay in their sets
        self.delivery_order: list[int] = []
        self.failed_with: dict[str, set[int]] = {}
        self._last_launch = -1

    def arrives(self, query: Query) -> None:
        self.arrived[query.id] = query

    def launched(self, launch: Launch) -> None:
        if launch.id != self._last_launch + 1:
            raise Violation(f"{launch} follows launch {self._last_launch}")
        self._last_launch = launch.id
        ids = launch.query_ids
        if not 1 <= len(ids) <= self._limits.max_batch or len(ids) != launch.place.rows or len(set(ids)) != len(ids):
            raise Violation(f"{launch} is no batch of 1 to {self._limits.max_batch} queries, one a row")
        if not 0 <= launch.first_stage <= launch.last_stage < self._limits.stages:
            raise Violation(f"{launch} leaves the stages 0 to {self._limits.stages - 1}")
        before = self.members.get(launch.batch_id, ())
        if ids[: len(before)] != before:
            raise Violation(f"{launch} moved its head's members {before} from the front")
        self.members[launch.batch_id] = ids
        self.batch_sizes[len(ids)] = self.batch_sizes.get(len(ids), 0) + 1
        self.first_rows.add(launch.place.first_row)
        for row, query_id in enumerate(ids):
            query = self.arrived.get(query_id)
            if query is None:
                raise Violation(f"{launch} runs query {query_id}, which has not arrived")
            if self.ended.get(query_id, "forgotten") != "forgotten":
                raise Violation(f"{launch} runs query {query_id}, which was {self.ended[query_id]}")
            if query_id in self.aboard:
                raise Violation(f"{launch} runs query {query_id}, which is in launch {self.aboard[query_id]}")
            if self.passed.get(query_id, 0) != launch.first_stage:
                raise Violation(
                    f"{launch} runs query {query_id}, which has {self.passed.get(query_id, 0)} stages behind it"
                )
            longest = self._limits.lanes[launch.lane]
            if longest is not None and (query.length is None or query.length > longest):
                raise Violation(f"{launch} cannot take query {query_id} of length {query.length}")
            if query_id not in self.where:
                self.first_launch.append(query_id)
            self.aboard[query_id] = launch.id
            self.where[query_id] = launch.place, row

    def landed(self, launch: Launch, *, success: bool) -> None:
        for query_id in launch.query_ids:
            if self.aboard.pop(query_id) != launch.id:
                raise Violation(f"query {query_id} was in another launch than {launch.id}")
            if success:
                self.passed[query_id] = launch.last_stage + 1

    def never_started(self, launch: Launch) -> None:
        for query_id in launch.query_ids:
            del self.aboard[query_id]

    def delivered(self, command: Deliver) -> None:
        if not command.query_ids:
            raise Violation("a delivery of nothing")
        for query_id in command.query_ids:
            self._ends(query_id, "delivered")
            self.delivery_order.append(query_id)
            if self.passed.get(query_id) != self._limits.stages:
                raise Violation(f"query {query_id} was delivered after {self.passed.get(query_id, 0)} stages")

    def failed(self, command: Fail) -> None:
        if not command.query_ids or not command.reason:
            raise Violation(f"{command} says too little")
        for query_id in command.query_ids:
            self._ends(query_id, "failed", command.reason)
        self.failed_with.setdefault(command.reason, set()).update(command.query_ids)

    def rejected(self, command: Reject, now_ns: int) -> None:
        self._ends(command.query_id, "rejected", command.reason)
        if command.query_id in self.where:
            raise Violation(f"{command} comes after a launch")
        deadline_ns = self.arrived[command.query_id].deadline_ns
        if "deadline passed" in command.reason and (deadline_ns is None or deadline_ns >= now_ns):
            raise Violation(f"{command} at {now_ns}, the deadline is {deadline_ns}")
        if "no longer" in command.reason and not self.is_late(command.query_id, now_ns):
            raise Violation(f"{command} at {now_ns}, though it could be answered by {deadline_ns}")

    def is_late(self, query_id: int, now_ns: int) -> bool:
        """Whether late queries are dropped, and this one could not be answered in time any more if it entered now, alone."""
        query, limits = self.arrived[query_id], self._limits
        lane = limits.lane_of(query.length)
        if not limits.drop_late or query.deadline_ns is None or lane is None:
            return False
        return now_ns + self._profile.span_ns(0, limits.stages - 1, 1, lane) > query.deadline_ns

    def forgotten(self, command: Forget) -> None:
        self._ends(command.query_id, "forgotten")
        if command.query_id not in self.cancelled:
            raise Violation(f"query {command.query_id} was forgotten, but nobody cancelled it")

    def open(self) -> set[int]:
        return set(self.arrived) - set(self.ended)

    def _ends(self, query_id: int, how: str, why: str = "") -> None:
        if query_id not in self.arrived:
            raise Violation(f"query {query_id} is {how} before it arrived")
        if query_id in self.ended:
            raise Violation(f"query {query_id} is {how}, but was {self.ended[query_id]} before")
        self.ended[query_id] = how
        self.why[query_id] = why
