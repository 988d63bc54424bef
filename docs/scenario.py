"""A small scenario, run through the real machine: what the picture in the README shows did happen."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dvabatch.batching.commands import Command, Deliver, Launch
from dvabatch.batching.events import Event, LaunchFinished
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Hold, Merge, New, Operation, Split, Stretch, Wake
from dvabatch.batching.place import Place
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, Normal
from dvabatch.batching.profile import Profile
from dvabatch.batching.view import View
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder

STAGES = 4
MAX_BATCH = 5
NS_PER_MS = 1_000_000
NAMES = "ABCDEFG"
ARRIVALS_MS = (0.0, 0.0, 0.5, 0.5, 0.5, 2.3, 2.3)
# Stage 3 favours batches of two. A launch takes a quarter of the device, so that several at once do not slow each other.
TABLE = {
    "name": "illustration",
    "stages": [
        *({"latency_ms": {"1": 1.0, "5": 1.2}, "share": {"1": 0.25}} for _ in range(3)),
        {"latency_ms": {"1": 0.8, "2": 1.0, "5": 2.4}, "share": {"1": 0.25}},
    ],
}


@dataclass(frozen=True, slots=True)
class Work:
    """One launch in one stage."""

    stage: int
    place: Place
    query_ids: tuple[int, ...]
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Done:
    """An operation that the policy answered with; where the batch stood, and the rows that it is about."""

    kind: str
    at_ms: float
    stage: int
    place: Place


@dataclass(slots=True)
class Story:
    """What happened in one run."""

    works: list[Work] = field(default_factory=list)
    operations: list[Done] = field(default_factory=list)
    delivered_ms: dict[int, float] = field(default_factory=dict)

    @property
    def mean_response_ms(self) -> float:
        return sum(self.delivered_ms[query] - ARRIVALS_MS[query] for query in self.delivered_ms) / len(
            self.delivered_ms
        )


class _Witness(Recorder):
    """Listens to the machine as a trace does."""

    def __init__(self, machine: Machine, story: Story) -> None:
        super().__init__(machine, io.StringIO())
        self._profile = machine.profile
        self._story = story
        self._running: dict[int, tuple[Launch, float]] = {}

    def record(self, now_ns: int, events: Sequence[Event], commands: Sequence[Command]) -> None:
        now_ms = now_ns / NS_PER_MS
        for event in events:
            if isinstance(event, LaunchFinished):
                self._ended(*self._running.pop(event.launch_id), now_ms)
        for command in commands:
            if isinstance(command, Launch):
                self._running[command.id] = command, now_ms
            elif isinstance(command, Deliver):
                self._story.delivered_ms.update(dict.fromkeys(command.query_ids, now_ms))

    def _ended(self, launch: Launch, start_ms: float, end_ms: float) -> None:
        """One piece a stage; a launch that spans several divides its time as the profile does."""
        rows, lane = len(launch.query_ids), launch.lane
        begin_ms, whole_ns = start_ms, self._profile.span_ns(launch.first_stage, launch.last_stage, rows, lane)
        for stage in range(launch.first_stage, launch.last_stage + 1):
            piece_ms = (end_ms - start_ms) * self._profile.stage_ns(stage, rows, lane) / whole_ns
            self._story.works.append(Work(stage, launch.place, launch.query_ids, begin_ms, begin_ms + piece_ms))
            begin_ms += piece_ms


class _Noting:
    """A policy that another one makes the decisions for, noted down."""

    def __init__(self, policy: Policy, story: Story) -> None:
        self._policy = policy
        self._story = story
        self.digest = policy.digest

    def plan(self, view: View) -> Iterator[Operation]:
        for operation in self._policy.plan(view):
            if not isinstance(operation, Wake):
                self._note(view, operation)
            yield operation

    def _note(self, view: View, operation: Operation) -> None:
        now_ms = view.now_ns / NS_PER_MS
        if isinstance(operation, New):
            buffer_set = view.sets_in_use  # the lowest free one, as none has returned before another was taken
            done = Done("new", now_ms, 0, Place(buffer_set, 0, len(operation.query_ids)))
        elif isinstance(operation, Stretch):
            head = view.batch_by_id[operation.head].place
            done = Done("stretch", now_ms, 0, Place(head.buffer_set, head.end_row, len(operation.query_ids)))
        elif isinstance(operation, (Hold, Split)):
            batch = view.batch_by_id[operation.batch]
            done = Done("hold" if isinstance(operation, Hold) else "split", now_ms, batch.stage, batch.place)
        elif isinstance(operation, Merge):
            head, tail = view.batch_by_id[operation.head].place, view.batch_by_id[operation.tail].place
            done = Done(
                "merge",
                now_ms,
                view.batch_by_id[operation.head].stage,
                Place(head.buffer_set, head.first_row, head.rows + tail.rows),
            )
        else:
            return
        self._story.operations.append(done)


def tell(policy: Policy) -> Story:
    """Runs the scenario under a policy."""
    story = Story()
    profile = Profile.from_table(TABLE)
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2)
    machine = Machine(limits, profile, _Noting(policy, story), debug=True)
    SimulatedDriver(machine, _Witness(machine, story)).run([round(t * NS_PER_MS) for t in ARRIVALS_MS])
    return story


def ordinary() -> Story:
    """One entry, one exit: one batch at a time."""
    return tell(Normal(FillOrWait(MAX_BATCH, max_delay_ns=0, instances=1)))


def multi_entry_multi_exit() -> Story:
    """HYBRID_DVA: late queries join, and stage 3 gets batches of two."""
    return tell(HybridDva(CatchingUp(MAX_BATCH, MAX_BATCH, last_stage=2, max_age_ns=None), Favoring((5, 5, 5, 2))))
