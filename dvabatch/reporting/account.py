"""Where a query's time went: its response as consecutive segments that sum to it, to the nanosecond.

A query's standing (it waits, or it is in a batch that stands somewhere) changes at calls of the machine only. So the steps of a
run's history, which say where every batch stands, give all of it. Only what a launch's own time is made of cannot be seen:
there copies and the host's part are taken from the profile, which in a simulation is what they took.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from dvabatch.batching.commands import Copy, Deliver, Fail, Forget, Launch, Reject
from dvabatch.batching.events import LaunchFailed, LaunchFinished, QueryArrived, TimerFired
from dvabatch.batching.history import Done, Standing, Step
from dvabatch.batching.profile import Profile

from .errors import ReportError
from .measured import Status

What: TypeAlias = Literal["unseen", "waiting", "queued", "held", "copied", "launched", "computed", "answered"]
WHATS: Final[tuple[What, ...]] = (
    "unseen",  # due, but not yet seen by the driver
    "waiting",  # waiting to enter
    "queued",  # its batch stood before a stage, or its launch behind another one or others that had all cores
    "held",  # its batch waited for its tail
    "copied",  # rows were moved for its batch
    "launched",  # the host handed the launch over and its rows were transferred, behind others where one thread and line do
    "computed",
    "answered",  # from the launch's end to the answer: the driver
)
_MOST_CAUSES: Final = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a query's response.

    `others` are batches: held, the tail that it waited for; waiting and queued, those whose launches ran this stage when it
    began; computed, those that shared the device when it began. `until` is what happened in the call that ended it.
    `alone_ns` is what the profile says of a launch that has the device for itself.
    """

    what: What
    begin_ns: int
    end_ns: int
    stage: int | None = None
    last_stage: int | None = None
    batch: int | None = None
    rows: int | None = None
    launch: int | None = None
    others: tuple[int, ...] = ()
    until: tuple[str, ...] = ()
    alone_ns: int | None = None

    @property
    def lasted_ns(self) -> int:
        return self.end_ns - self.begin_ns


@dataclass(frozen=True, slots=True)
class Part:
    """An operation that a query took part in."""

    now_ns: int
    done: Done


@dataclass(frozen=True, slots=True)
class Account:
    """A query from its scheduled arrival to its end."""

    query_id: int
    arrival_ns: int
    done_ns: int
    outcome: Status
    reason: str | None
    segments: tuple[Segment, ...]
    operations: tuple[Part, ...]

    @property
    def response_ns(self) -> int:
        return self.done_ns - self.arrival_ns

    def totals_ns(self) -> dict[What, int]:
        """How long of each kind, those that took any time."""
        totals = {what: sum(each.lasted_ns for each in self.segments if each.what == what) for what in WHATS}
        return {what: total for what, total in totals.items() if total}


@dataclass(slots=True)
class _Open:
    """A query under way."""

    arrival_ns: int
    standing: Segment  # its end is not known yet
    segments: list[Segment] = field(default_factory=list)
    operations: list[Part] = field(default_factory=list)


class Accounts:
    """Follows some queries through a run's history."""

    def __init__(self, profile: Profile, wanted: Collection[int], done_ns: Callable[[int], int | None]) -> None:
        """`profile` is the run's; `done_ns` says when a query ended by the records, None where they do not say."""
        self.finished: dict[int, Account] = {}
        self._profile = profile
        self._wanted = frozenset(wanted)
        self._done_ns = done_ns
        self._open: dict[int, _Open] = {}
        self._begun: dict[int, Launch] = {}
        self._waiting: dict[int, Launch] = {}  # launches that wait for a core, in the order in which they came
        self._own_ns: dict[int, tuple[int, int]] = {}  # of launches under way: what copying, and the host, take
        self._copying_ns: dict[int, int] = {}  # by buffer set, until its next launch
        self._awake = 0  # launches that ended this instant, and that none has followed since
        self._host_free_ns = -1  # when one thread that does all of the host's part is through with it
        self._line_free_ns = -1  # when the line to the device is
        self._rested = False  # that thread, until this call

    def follow(self, step: Step) -> None:
        """One more call."""
        self._awake = sum(self._begun.pop(launch.id, None) is not None for launch in step.ended)
        ended = any(isinstance(event, (LaunchFinished, LaunchFailed)) for event in step.events)
        self._rested = not ended and step.now_ns > self._host_free_ns
        self._begin_launches(step)
        for event in step.events:
            if type(event) is QueryArrived and event.query.id in self._wanted:
                arrival_ns = event.query.arrival_ns
                self._open[event.query.id] = _Open(arrival_ns, Segment("unseen", min(arrival_ns, step.now_ns), -1))
        if self._open:
            self._look(step)
        for launch in step.ended:
            # One that was behind another may be over before anybody heard that it had begun.
            if self._own_ns.pop(launch.id, None) is None:
                self._copying_ns.pop(launch.place.buffer_set, None)

    def _begin_launches(self, step: Step) -> None:
        """What the launches that begin now spend before they compute, by the profile: as the simulator charges it."""
        costs = self._profile.costs
        for launch in step.started:
            if launch.after is not None:
                self._begin(launch, None, step.now_ns)
        for launch in step.ended:
            self._waiting.pop(launch.id, None)  # it was given up
        for launch in list(self._waiting.values())[: max(0, costs.cores - len(self._begun))]:
            self._begin_alone(self._waiting.pop(launch.id), step.now_ns)
        for command in step.commands:
            if type(command) is Copy:
                buffer_set, copying_ns = command.target.buffer_set, command.source.rows * costs.copy_ns_per_row
                self._copying_ns[buffer_set] = self._copying_ns.get(buffer_set, 0) + copying_ns
            elif type(command) is Launch and command.after is None:
                if costs.cores and len(self._begun) >= costs.cores:
                    self._waiting[command.id] = command
                else:
                    self._begin_alone(command, step.now_ns)

    def _begin_alone(self, launch: Launch, now_ns: int) -> None:
        """One that is queued behind no other."""
        costs, rows = self._profile.costs, len(launch.query_ids)
        host_ns = costs.busy_ns(launch.first_stage, rows)
        answer_ns = costs.host_ns(launch.first_stage, rows) - host_ns
        if self._finds_rest(launch):
            host_ns += costs.wake_ns
        self._begin(launch, host_ns, now_ns, answer_ns, costs.transfer_ns(launch.first_stage, rows))

    def _finds_rest(self, launch: Launch) -> bool:
        """Whether the one thread has been at rest, or else a part of the device, as the simulator takes it."""
        if self._profile.costs.one_host:
            rested, self._rested = self._rested, False
            return rested
        at_once = self._profile.at_once(launch.first_stage, len(launch.query_ids), launch.lane)
        return len(self._begun) < at_once and self._awake <= 0

    def _begin(
        self, launch: Launch, host_ns: int | None, now_ns: int, answer_ns: int = 0, transfer_ns: int = 0
    ) -> None:
        """`host_ns` is None where the host has nothing to do for it, and it need not wait for the host; for `answer_ns` behind
        that it keeps nobody waiting."""
        copying_ns = self._copying_ns.pop(launch.place.buffer_set, 0)
        passes_host = host_ns is not None or copying_ns > 0
        host_ns = host_ns or 0
        if not self._profile.costs.one_host:
            host_ns += answer_ns + transfer_ns
        else:
            there_ns = now_ns
            if passes_host:
                there_ns = self._host_free_ns = max(self._host_free_ns, now_ns) + copying_ns + host_ns
            there_ns += answer_ns
            if transfer_ns:
                there_ns = self._line_free_ns = max(self._line_free_ns, there_ns) + transfer_ns
            host_ns = there_ns - now_ns - copying_ns
        self._own_ns[launch.id] = copying_ns, host_ns
        self._begun[launch.id] = launch
        self._awake -= 1

    def _look(self, step: Step) -> None:
        """Where every followed query stands now; a standing that has changed ends here."""
        batches = {standing.batch: standing for standing in step.standing}
        by_query = {query_id: standing for standing in step.standing for query_id in standing.query_ids}
        fates = _fates(step)
        for query_id, open_ in list(self._open.items()):
            open_.operations += [Part(step.now_ns, done) for done in step.operations if done.concerns(query_id)]
            if query_id in fates:
                self._close(open_, step)
                self._end(query_id, self._open.pop(query_id), step, *fates[query_id])
                continue
            if query_id in by_query:
                now = self._in_batch(by_query[query_id], batches, step.now_ns)
            else:
                now = Segment("waiting", step.now_ns, -1, 0, others=self._running(0))
            if not _same(now, open_.standing):
                self._close(open_, step)
                open_.standing = now

    def _in_batch(self, batch: Standing, batches: Mapping[int, Standing], now_ns: int) -> Segment:
        stage, rows, launch = batch.stage, batch.rows, batch.launch
        if launch is not None:
            last = launch.last_stage
            if batch.behind is not None:
                return Segment("queued", now_ns, -1, stage, last, batch.batch, rows, launch.id, (batch.behind,))
            if launch.id in self._waiting:
                others = tuple(other.batch_id for other in self._begun.values())
                return Segment("queued", now_ns, -1, stage, last, batch.batch, rows, launch.id, others)
            alone_ns = self._profile.span_ns(stage, last, rows, batch.lane)
            alone_ns += self._profile.costs.bounced_ns(launch.place.first_row, rows)
            beside = tuple(other.batch_id for other in self._begun.values() if other.id != launch.id)
            return Segment("computed", now_ns, -1, stage, last, batch.batch, rows, launch.id, beside, alone_ns=alone_ns)
        if batch.tail is not None and batches[batch.tail].stage < stage:
            return Segment("held", now_ns, -1, stage, stage, batch.batch, rows, others=(batch.tail,))
        return Segment("queued", now_ns, -1, stage, stage, batch.batch, rows, others=self._running(stage))

    def _running(self, stage: int) -> tuple[int, ...]:
        begun = self._begun.values()
        return tuple(launch.batch_id for launch in begun if launch.first_stage <= stage <= launch.last_stage)

    def _close(self, open_: _Open, step: Step) -> None:
        """The standing ends: one segment, or three of a launch."""
        now_ns, was = step.now_ns, open_.standing
        pieces: list[tuple[What, int]] = [(was.what, now_ns)]
        if was.what == "computed":
            assert was.launch is not None
            copying_ns, host_ns = self._own_ns[was.launch]
            copied_ns = min(was.begin_ns + copying_ns, now_ns)
            pieces = [("copied", copied_ns), ("launched", min(copied_ns + host_ns, now_ns)), *pieces]
        begin_ns = max(was.begin_ns, open_.arrival_ns)  # what was before the scheduled arrival does not count
        for what, end_ns in pieces:
            if end_ns > begin_ns:
                piece = replace(was, what=what, begin_ns=begin_ns, end_ns=end_ns)
                if was.what in {"waiting", "queued", "held"}:
                    piece = replace(piece, until=_causes(step))
                elif what != "computed":
                    piece = replace(piece, others=(), alone_ns=None)
                open_.segments.append(piece)
                begin_ns = end_ns

    def _end(self, query_id: int, open_: _Open, step: Step, outcome: Status, reason: str | None) -> None:
        done_ns = self._done_ns(query_id)
        if done_ns is None:
            done_ns = max(step.now_ns, open_.arrival_ns)
        last_ns = max(open_.arrival_ns, step.now_ns)
        if done_ns < last_ns:
            raise ReportError(
                f"query {query_id} ended at {step.now_ns} ns by the trace and at {done_ns} ns by the records beside it: they "
                "are of different runs; run it again with --trace"
            )
        if done_ns > last_ns:
            open_.segments.append(Segment("answered", last_ns, done_ns))
        self.finished[query_id] = Account(
            query_id, open_.arrival_ns, done_ns, outcome, reason, tuple(open_.segments), tuple(open_.operations)
        )


def _same(one: Segment, other: Segment) -> bool:
    """Whether a query stands where it stood."""
    mine = one.what, one.stage, one.batch, one.launch
    return mine == (other.what, other.stage, other.batch, other.launch)


def _causes(step: Step) -> tuple[str, ...]:
    """What happened in a call, for people."""
    causes = [f"batch {launch.batch_id} left stage {launch.last_stage}" for launch in step.ended]
    causes += [f"query {event.query.id} arrived" for event in step.events if type(event) is QueryArrived]
    causes += ["its delay was over" for event in step.events if type(event) is TimerFired]
    if len(causes) > _MOST_CAUSES:
        causes[_MOST_CAUSES - 1 :] = [f"{len(causes) - _MOST_CAUSES + 1} more"]
    return tuple(causes)


def _fates(step: Step) -> dict[int, tuple[Status, str | None]]:
    """The queries that ended in a call, and how."""
    fates: dict[int, tuple[Status, str | None]] = {}
    for command in step.commands:
        if type(command) is Deliver:
            fates |= dict.fromkeys(command.query_ids, (Status.COMPLETED, None))
        elif type(command) is Fail:
            fates |= dict.fromkeys(command.query_ids, (Status.FAILED, command.reason))
        elif type(command) is Reject:
            fates[command.query_id] = Status.REJECTED, command.reason
        elif type(command) is Forget:
            fates[command.query_id] = Status.CANCELLED, None
    return fates
