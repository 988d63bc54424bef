"""The multi-entry multi-exit batching machine: events in, commands out, nothing else.

One call of `handle` is one instant. Its events are applied in a fixed order (completions before arrivals, then by id), and
then the policy plans, operation by operation, until it has nothing to add. The machine holds no clock and starts nothing: a
driver reports events with the time, and carries the commands out in order. Same events, same commands.

Laws it keeps, whatever the policy does (`laws.check` asserts them in debug):
 1. A query is waiting, in exactly one batch, or ended exactly once.
 2. A delivered query passed every stage once, in order, in batches no larger than the engine's maximum.
 3. No executor and no row has two owners; lost ones are never reused.
 4. Split partitions its batch; stretch and merge keep the head's members in front.
 5. If anything waits and nothing runs, a wake-up is pending; a held batch names a live batch behind it.
 7. One failed launch fails its own queries and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from dvabatch.batching import laws
from dvabatch.batching.batch import Batch
from dvabatch.batching.commands import Command, Deliver, Fail, Forget, Launch, Reject, WakeAt
from dvabatch.batching.errors import EventError, OperationError
from dvabatch.batching.events import (
    DeviceLost,
    Event,
    ExecutorAdded,
    ExecutorLost,
    HostPaced,
    LaunchFailed,
    LaunchFinished,
    QueryArrived,
    QueryCancelled,
    TimerFired,
    instant_order,
)
from dvabatch.batching.ledger import Ledger
from dvabatch.batching.limits import Limits
from dvabatch.batching.operations import Advance, Hold, Merge, New, Operation, Split, Stretch, Wake
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.batching.states import BatchEvent, BatchState
from dvabatch.batching.view import View

_MANY: Final = 256
_SLOWEST_PERCENT: Final = 1_000_000
_COMPLETED: Final = BatchEvent.COMPLETED


class Policy(Protocol):
    """Decides what happens to waiting queries and to batches at boundaries."""

    @property
    def digest(self) -> str:
        """Names the policy and every option that decides, so that a recorded run can be told apart from others."""

    def plan(self, view: View) -> Iterable[Operation]:
        """What to do now, until there is nothing to add; asked once an instant.

        Each operation is carried out before the next is taken: a generator sees in the view what its own have done.
        """


class Machine:
    """Decides; drivers carry out."""

    def __init__(self, limits: Limits, profile: Profile, policy: Policy, *, debug: bool = False) -> None:
        """The profile must cover the limits' stages and lanes; `debug` checks the laws after every call.

        Raises:
            ValueError: profile and limits do not fit together.
        """
        if profile.stages != limits.stages or len(profile.lanes) != len(limits.lanes):
            raise ValueError(
                f"profile {profile.name} has {profile.stages} stages in {len(profile.lanes)} lanes, "
                f"the machine {limits.stages} in {len(limits.lanes)}: profile the stages that are to run"
            )
        if profile.max_batch < limits.max_batch:
            raise ValueError(
                f"profile {profile.name} ends at batch {profile.max_batch}, the machine's max_batch is {limits.max_batch}: "
                f"lower max_batch or profile further"
            )
        self.limits = limits
        self.profile = profile
        self.policy = policy
        self.ledger = Ledger(limits, profile)
        self.operations = {"new": 0, "stretch": 0, "merge": 0, "split": 0, "hold": 0}
        self.wake_ns: int | None = None
        self._debug = debug
        lanes = range(len(limits.lanes)) if limits.drop_late else ()
        # By lane: how long before its deadline a query has to enter; empty unless late ones are dropped.
        self._lead_ns = tuple(profile.span_ns(0, limits.last_stage, 1, lane) for lane in lanes)
        self._last_query_id = -1
        self._dead: str | None = None  # why nothing can enter any more
        self.dead_ns: int | None = None  # since when
        self._lost: set[int] = set()  # launches whose end, should it come late, means nothing
        self._commands: list[Command] = []
        self._apply: dict[type, Callable[[Any], None]] = {
            New: self._new,
            Stretch: self._stretch,
            Merge: self._merge,
            Split: self._split,
            Hold: self._hold,
        }

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing lives: the next thing to happen is an arrival."""
        return not self.ledger.waiting.count and not self.ledger.batches

    def handle(self, events: Sequence[Event], now_ns: int) -> list[Command]:
        """Applies all events of this instant and answers with what to do, in order.

        Raises:
            EventError: time ran backwards, or the event cannot have happened.
            OperationError: the policy asked for something illegal.
        """
        ledger = self.ledger
        if now_ns < ledger.now_ns:
            raise EventError(f"time ran backwards, from {ledger.now_ns} to {now_ns} ns")
        ledger.now_ns = now_ns
        commands = self._commands = []
        if self.wake_ns is not None and now_ns >= self.wake_ns:
            self.wake_ns = None
        for event in events if len(events) < 2 or _in_order(events) else sorted(events, key=instant_order):
            if type(event) is QueryArrived:
                self._query_arrived(event.query)
            elif type(event) is LaunchFinished:
                self._launch_finished(event.launch_id)
            elif type(event) is not TimerFired:
                self._apply_rare(event)
        if ledger.waiting.deadlines and ledger.waiting.next_deadline_ns < now_ns:
            late = ledger.waiting.expired(now_ns)
            commands.extend(Reject(query.id, _why_late(query, now_ns)) for query in late)
        self._plan()
        if self._debug:
            laws.check(ledger, wake_pending=self.wake_ns is not None)
        return commands

    # Events -------------------------------------------------------------------------------------------------------

    def _query_arrived(self, query: Query) -> None:
        if query.id <= self._last_query_id:
            raise EventError(f"query {query.id} arrived after query {self._last_query_id}; ids rise")
        self._last_query_id = query.id
        limits, waiting = self.limits, self.ledger.waiting
        lane = limits.lane_of(query.length)
        if self._dead is not None:
            self._commands.append(Reject(query.id, self._dead))
        elif lane is None:
            reason = "no length given" if query.length is None else f"length {query.length} above {limits.lanes[-1]}"
            self._commands.append(Reject(query.id, f"{reason}; lanes are {list(limits.lanes)}"))
        elif limits.max_queue is not None and waiting.count >= limits.max_queue:
            self._commands.append(Reject(query.id, f"queue full ({limits.max_queue} waiting)"))
        else:
            waiting.add(lane, query, self._lead_ns[lane] if self._lead_ns else 0)

    def _launch_finished(self, launch_id: int) -> None:
        launch = self._leave(launch_id)
        if launch is None:
            return
        ledger = self.ledger
        batch = ledger.batch_by_id[launch.batch_id]
        batch.stage = batch.boundary
        batch.launch_id = None
        if batch.cancelled and batch.is_empty:
            ledger.end(batch, BatchEvent.EMPTIED)
        elif batch.stage == ledger.limits.stages:
            ledger.end(batch, _COMPLETED)
            ids = batch.live_ids if batch.cancelled else launch.query_ids
            self._commands.append(tuple.__new__(Deliver, (ids,)))  # half as dear as by its name
        else:
            ledger.arrive(batch)
            if self._dead is not None:
                self._fail_doomed()

    def _leave(self, launch_id: int) -> Launch | None:
        """Ends a launch on its executors; None if it was given up before."""
        launch = self.ledger.launches.get(launch_id)
        if launch is not None:
            self.ledger.leave_executors(launch)
        elif launch_id in self._lost:
            self._lost.remove(launch_id)
        else:
            raise EventError(
                f"launch {launch_id} ended, but is not in flight; in flight are {sorted(self.ledger.launches)}"
            )
        return launch

    def _apply_rare(self, event: Event) -> None:
        if isinstance(event, LaunchFailed):
            launch = self._leave(event.launch_id)
            if launch is not None:
                self._fail_batch(self.ledger.batch(launch.batch_id), event.reason)
        elif isinstance(event, QueryCancelled):
            self._query_cancelled(event.query_id)
        elif isinstance(event, ExecutorAdded):
            self._executor_added(event)
        elif isinstance(event, ExecutorLost):
            self._executor_lost(event)
        elif isinstance(event, HostPaced):
            if not 1 <= event.percent <= _SLOWEST_PERCENT:
                raise EventError(f"{event}: wanted from 1 to {_SLOWEST_PERCENT} percent")
            self.ledger.host_paced(event.percent)
        elif isinstance(event, DeviceLost):
            self._die(f"device lost: {event.reason}")
            for launch in tuple(self.ledger.launches.values()):
                self._lose_launch(launch, f"device lost: {event.reason}")
            self._fail_all(f"device lost: {event.reason}")
        else:
            raise EventError(f"unknown event {event!r}")

    def _query_cancelled(self, query_id: int) -> None:
        entry = self.ledger.waiting.find(query_id)
        if entry is not None:
            self.ledger.waiting.remove(entry[0], query_id)
            self._commands.append(Forget(query_id))
            return
        batch = self.ledger.find_batch(query_id)
        if batch is None:
            return  # it has ended
        batch.cancelled.add(query_id)
        self._commands.append(Forget(query_id))
        if batch.is_empty and batch.state is not BatchState.RUNNING:
            self.ledger.end(batch, BatchEvent.EMPTIED)

    def _executor_added(self, event: ExecutorAdded) -> None:
        executors = self.ledger.executors
        if not 0 <= event.stage < self.limits.stages or event.index != executors.count(event.stage):
            raise EventError(f"{event}: wanted a stage from 0 to {self.limits.last_stage} and its next index")
        executors.add(event.stage)

    def _executor_lost(self, event: ExecutorLost) -> None:
        ledger = self.ledger
        if not (0 <= event.stage < self.limits.stages and 0 <= event.index < ledger.executors.count(event.stage)):
            raise EventError(f"{event}: there is no such executor")
        owner = ledger.executors.lose(event.stage, event.index)
        if owner is not None:
            self._lose_launch(ledger.launches[owner], event.reason)
        exhausted = self._exhausted_stages()
        if exhausted:
            self._die(f"no executor of stage {exhausted[0]} is left: {event.reason}")
        elif ledger.sets.exhausted:
            self._die(f"no buffer set is left: {event.reason}")
        if self._dead is not None:
            self._fail_doomed()

    def _die(self, reason: str) -> None:
        self._dead = reason
        if self.dead_ns is None:
            self.dead_ns = self.ledger.now_ns

    def _lose_launch(self, launch: Launch, reason: str) -> None:
        """A launch that will never be heard of: its batch fails, its rows stay taken, a launch behind it never starts."""
        ledger = self.ledger
        if launch.id not in ledger.launches:
            return  # it was queued behind one that was lost a moment ago
        follower_id = ledger.followers.pop(launch.id, None)
        if follower_id is not None:
            follower = ledger.launches.pop(follower_id)
            self._lost.add(follower_id)
            batch = ledger.batch(follower.batch_id)
            ledger.void(batch)
            if batch.is_empty:
                ledger.end(batch, BatchEvent.EMPTIED)
        del ledger.launches[launch.id]
        self._lost.add(launch.id)
        # The lost executor is out; the others of the span may still be at it, so they are lost with it.
        for stage, index in enumerate(launch.executors, launch.first_stage):
            ledger.executors.lose(stage, index)
        self._fail_batch(ledger.batch(launch.batch_id), reason, rows_lost=True)

    def _fail_batch(self, batch: Batch, reason: str, *, rows_lost: bool = False) -> None:
        ids = batch.live_ids
        batch.launch_id = None
        self.ledger.end(batch, BatchEvent.BROKE, rows_lost=rows_lost)
        if ids:
            self._commands.append(Fail(ids, reason))

    def _fail_doomed(self) -> None:
        """Nothing new can enter: whoever waits fails, and so does every batch whose remaining stages cannot all run.

        Where every buffer set is lost, so do the batches that still have rows beside lost ones, unless they are running.
        """
        assert self._dead is not None
        dead = self._exhausted_stages()
        for batch in tuple(self.ledger.batches):
            if batch.state is not BatchState.RUNNING and (not dead or batch.stage <= dead[-1]):
                self._fail_batch(batch, self._dead)
        self._fail_waiting(self._dead)

    def _exhausted_stages(self) -> list[int]:
        return [stage for stage in range(self.limits.stages) if self.ledger.executors.usable(stage) == 0]

    def _fail_all(self, reason: str) -> None:
        for batch in tuple(self.ledger.batches):
            self._fail_batch(batch, reason)
        self._fail_waiting(reason)

    def _fail_waiting(self, reason: str) -> None:
        ids = tuple(query.id for query in self.ledger.waiting.clear())
        if ids:
            self._commands.append(Fail(ids, reason))

    # Operations ---------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Carries out what the policy answers; the earliest wake-up that it asks for stands.

        Operations act on waiting queries and ready batches only: where there are neither, the policy is not asked.
        """
        ledger = self.ledger
        if not ledger.ready_batches.count and not ledger.waiting.count:
            return
        apply, commands = self._apply, self._commands
        wake_ns = None
        for count, operation in enumerate(self.policy.plan(ledger)):
            if type(operation) is Advance:
                commands.append(ledger.launch(operation))
            elif type(operation) is Wake:
                wake_ns = operation.at_ns if wake_ns is None else min(wake_ns, operation.at_ns)
            else:
                apply[type(operation)](operation)
            if count > _MANY:
                self._expect_an_end(count)
        if self._lead_ns:
            wake_ns = self._or_when_late(wake_ns)
        if wake_ns is not None:
            wake_ns = max(wake_ns, ledger.now_ns + 1)
            if wake_ns != self.wake_ns:
                self.wake_ns = wake_ns
                commands.append(WakeAt(wake_ns))

    def _or_when_late(self, wake_ns: int | None) -> int | None:
        """The earlier of a wake-up (else the one that is pending) and the instant at which a query has become too late."""
        deadline_ns = self.ledger.waiting.soonest_deadline_ns()
        if deadline_ns is None:
            return wake_ns
        planned_ns = self.wake_ns if wake_ns is None else wake_ns
        return deadline_ns + 1 if planned_ns is None else min(deadline_ns + 1, planned_ns)

    def _expect_an_end(self, count: int) -> None:
        """Every operation uses up something that waits or is ready, or makes parts of it: too many are a loop."""
        ledger = self.ledger
        if count > 16 * (len(ledger.batches) + ledger.waiting.count + ledger.limits.max_batch):
            raise OperationError(f"policy {self.policy.digest} does not come to an end at {ledger.now_ns} ns")

    def _new(self, operation: New) -> None:
        self.ledger.open(operation)
        self.operations["new"] += 1

    def _stretch(self, operation: Stretch) -> None:
        self.ledger.stretch(operation)
        self.operations["stretch"] += 1

    def _merge(self, operation: Merge) -> None:
        self._commands.extend(self.ledger.merge(operation))
        self.operations["merge"] += 1

    def _split(self, operation: Split) -> None:
        self.ledger.split(operation)
        self.operations["split"] += 1

    def _hold(self, operation: Hold) -> None:
        self.ledger.hold(operation)
        self.operations["hold"] += 1


def _why_late(query: Query, now_ns: int) -> str:
    passed = query.deadline_ns is not None and query.deadline_ns < now_ns
    return "deadline passed before entry" if passed else "deadline can no longer be met"


def _in_order(events: Sequence[Event]) -> bool:
    """Whether these are ends and then arrivals, by id, as drivers report most of them: then there is nothing to sort."""
    arriving, last_id = False, -1
    for event in events:
        if type(event) is LaunchFinished and not arriving:
            event_id = event.launch_id
        elif type(event) is QueryArrived:
            event_id = event.query.id
            if not arriving:
                arriving, last_id = True, -1
        else:
            return False
        if event_id < last_id:
            return False
        last_id = event_id
    return True
