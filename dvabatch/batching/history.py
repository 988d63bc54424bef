"""History: a run that happens again in a fresh machine, told step by step.

A trace holds what a driver saw: events and commands. Which operations the policy answered with is not in it, and need not be:
same events, same commands. `History` is the machine that is told the events once more, with a policy that is listened to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from dvabatch.batching.batch import Batch
from dvabatch.batching.commands import Command, Launch
from dvabatch.batching.events import Event
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Advance, Hold, Merge, New, Operation, Split, Stretch, Wake
from dvabatch.batching.profile import Profile
from dvabatch.batching.view import View

Kind: TypeAlias = Literal["new", "stretch", "merge", "split", "hold"]


@dataclass(frozen=True, slots=True)
class Done:
    """An operation as it was carried out.

    `batch` is the new one, the head, or the one that was divided; `tail` the one that catches up, was waited for or joined.
    `members` and `others` are the queries of both as they were before, those that a stretch brought included in `others`.
    """

    kind: Kind
    batch: int
    members: tuple[int, ...]
    stage: int
    tail: int | None = None
    others: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()

    def concerns(self, query_id: int) -> bool:
        """Whether this query is in one of its batches."""
        return query_id in self.members or query_id in self.others


class Standing(NamedTuple):
    """Where a live batch stands at the end of a call. `rows` counts cancelled queries too, `query_ids` does not.

    Every call makes one of every batch: a named tuple, as `Launch` is.
    """

    batch: int
    lane: int
    stage: int  # the next one to run, or the first of its launch
    rows: int
    query_ids: tuple[int, ...]
    launch: Launch | None  # in flight
    behind: int | None  # the batch whose launch its own is queued behind
    tail: int | None  # the batch that catches up with it


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the machine: what happened, what the policy did about it, and what the driver was told."""

    now_ns: int
    events: Sequence[Event]
    operations: tuple[Done, ...]
    commands: Sequence[Command]
    started: tuple[Launch, ...]  # launches that have begun: commanded now, or queued behind one that has ended now
    ended: tuple[Launch, ...]  # launches that are over now, well or not, whether or not they ever began
    waiting: int  # queries that belong to no batch at the end of the call
    standing: tuple[Standing, ...]  # every live batch


class History:
    """The machine of a run, and what every call did to it."""

    def __init__(self, limits: Limits, profile: Profile, policy: Policy) -> None:
        self._heard = _Heard(policy)
        self.machine = Machine(limits, profile, self._heard)
        self._flying: dict[int, Launch] = {}

    def step(self, events: Sequence[Event], now_ns: int) -> Step:
        """One call of `Machine.handle`, and its errors."""
        commands = self.machine.handle(events, now_ns)
        ledger = self.machine.ledger
        live, flying = ledger.launches, self._flying
        ended = tuple([launch for launch_id, launch in flying.items() if launch_id not in live])
        for launch in ended:
            del flying[launch.id]
        over = {launch.id for launch in ended}
        begun = [launch for launch in flying.values() if launch.after in over] if over else []
        for command in commands:
            if type(command) is Launch:
                flying[command.id] = command
                if command.after is None:
                    begun.append(command)
        standing = tuple([self._standing(batch) for batch in ledger.batches])
        return Step(now_ns, events, self._heard.take(), commands, tuple(begun), ended, ledger.waiting.count, standing)

    def _standing(self, batch: Batch) -> Standing:
        launch = None if batch.launch_id is None else self._flying[batch.launch_id]
        ahead = None if launch is None or launch.after is None else self._flying.get(launch.after)
        behind = None if ahead is None else ahead.batch_id
        return Standing(batch.id, batch.lane, batch.stage, batch.size, batch.live_ids, launch, behind, batch.tail)


class _Heard:
    """A policy that another one decides for; what it answers is noted with the batches as they are found."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._done: list[Done] = []

    @property
    def digest(self) -> str:
        return self._policy.digest

    def plan(self, view: View) -> Iterator[Operation]:
        for operation in self._policy.plan(view):
            if type(operation) is Advance or type(operation) is Wake:
                yield operation
            elif type(operation) is Split:
                first_part, whole = view.next_batch_id, view.batch_by_id[operation.batch]
                members, stage = _ids(view, operation.batch), whole.stage
                yield operation
                parts = tuple(range(first_part, view.next_batch_id))
                self._done.append(Done("split", operation.batch, members, stage, parts=parts))
            elif type(operation) is Stretch:
                yield operation
                head = view.batch_by_id[operation.head]
                assert head.tail is not None
                self._done.append(
                    Done("stretch", head.id, _ids(view, head.id), 0, tail=head.tail, others=_ids(view, head.tail))
                )
            else:
                self._done.append(_before(view, operation))
                yield operation

    def take(self) -> tuple[Done, ...]:
        """What was done since the last time."""
        done = tuple(self._done)
        self._done.clear()
        return done


def _before(view: View, operation: Operation) -> Done:
    """What is known before the operation is carried out: one that is refused ends the run."""
    if type(operation) is New:
        return Done("new", view.next_batch_id, operation.query_ids, 0)
    if type(operation) is Merge:
        head, tail, kind = operation.head, operation.tail, "merge"
    else:
        assert type(operation) is Hold
        head, tail, kind = operation.batch, operation.tail, "hold"
    stage = view.batch_by_id[head].stage
    return Done(kind, head, _ids(view, head), stage, tail, _ids(view, tail))  # type: ignore[arg-type]  # one of two


def _ids(view: View, batch_id: int) -> tuple[int, ...]:
    return tuple([query.id for query in view.batch_by_id[batch_id].queries])
