"""A policy that answers what the test says, so that one operation of the machine can be looked at by itself."""

from __future__ import annotations

from collections.abc import Sequence

from dvabatch.batching.commands import Command
from dvabatch.batching.events import Event, QueryArrived
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.operations import Operation
from dvabatch.batching.query import Query
from dvabatch.batching.view import View
from tests.batching.timeline import flat


class Script:
    """Answers what was put into `say`, once."""

    digest = "script"

    def __init__(self) -> None:
        self.say: list[Operation] = []

    def plan(self, view: View) -> Sequence[Operation]:
        answer, self.say = self.say, []
        return answer


class Stage:
    """A machine, its script and a clock that goes on by 1 ns a call."""

    def __init__(
        self, stages: int = 3, max_batch: int = 4, buffer_sets: int = 2, executors: int = 2, queries: int = 0
    ) -> None:
        self.script = Script()
        self.machine = Machine(
            Limits(stages, max_batch, buffer_sets, executors), flat(stages, most=max_batch), self.script
        )
        self.now_ns = 0
        if queries:
            self.call([QueryArrived(Query(i, 0)) for i in range(queries)])

    def call(self, events: Sequence[Event] = (), *operations: Operation) -> list[Command]:
        """The events of one instant, and what the policy says to them."""
        self.now_ns += 1
        self.script.say = list(operations)
        return self.machine.handle(events, self.now_ns)

    def do(self, *operations: Operation) -> list[Command]:
        return self.call((), *operations)
