"""Stage executors: who may run what. An executor is one execution context of one stage and has one owner at most."""

from __future__ import annotations

from dvabatch.batching.states import EXECUTOR_STEPS, ExecutorEvent, ExecutorState, next_executor_state

_IDLE, _LOST = ExecutorState.IDLE, ExecutorState.LOST
# The columns of the table that every launch goes through: where each state leads.
_TAKEN_FROM = tuple(row[ExecutorEvent.TAKEN] for row in EXECUTOR_STEPS)
_RETURNED_FROM = tuple(row[ExecutorEvent.RETURNED] for row in EXECUTOR_STEPS)


class Executors:
    """The executors of all stages, by stage and index.

    An owner holds one executor of every stage of its launch until the launch ends on the device.
    """

    __slots__ = ("_free", "_owner", "_state", "_usable", "idle")

    def __init__(self, stages: int, per_stage: int) -> None:
        self._state = [[_IDLE] * per_stage for _ in range(stages)]
        self._owner: list[list[int | None]] = [[None] * per_stage for _ in range(stages)]
        self._free = [list(range(per_stage - 1, -1, -1)) for _ in range(stages)]  # taken from the end
        self._usable = [per_stage] * stages
        self.idle = [per_stage] * stages  # how many are free, by stage

    def idle_through(self, first: int, last: int) -> bool:
        """Whether every stage of the span has an idle executor."""
        return all(self.idle[first : last + 1])

    def usable(self, stage: int) -> int:
        """Executors of this stage that are not lost."""
        return self._usable[stage]

    def take(self, first: int, last: int, launch_id: int) -> tuple[int, ...]:
        """One idle executor of every stage of the span."""
        taken = []
        for stage in range(first, last + 1):
            index, states = self._free[stage].pop(), self._state[stage]
            after = _TAKEN_FROM[states[index]]
            if after is None:
                after = next_executor_state(
                    stage, index, states[index], ExecutorEvent.TAKEN
                )  # which refuses it by name
            states[index] = after
            self._owner[stage][index] = launch_id
            self.idle[stage] -= 1
            taken.append(index)
        return tuple(taken)

    def give(self, first: int, executors: tuple[int, ...], launch_id: int) -> None:
        """Hands executors that a launch has left to the launch queued behind it: they stay busy."""
        for stage, index in enumerate(executors, first):
            self._owner[stage][index] = launch_id

    def put_back(self, first: int, executors: tuple[int, ...]) -> None:
        """The launch that held these has ended on the device. Lost ones stay lost."""
        for stage, index in enumerate(executors, first):
            states = self._state[stage]
            state = states[index]
            if state is _LOST:
                continue
            after = _RETURNED_FROM[state]
            if after is None:
                after = next_executor_state(stage, index, state, ExecutorEvent.RETURNED)  # which refuses it by name
            states[index] = after
            self._owner[stage][index] = None
            self._free[stage].append(index)
            self.idle[stage] += 1

    def lose(self, stage: int, index: int) -> int | None:
        """Takes an executor out for good; answers with the launch that was on it. Losing it again changes nothing."""
        if self._state[stage][index] is ExecutorState.LOST:
            return None
        if self._state[stage][index] is _IDLE:
            self._free[stage].remove(index)
            self.idle[stage] -= 1
        self._state[stage][index] = next_executor_state(stage, index, self._state[stage][index], ExecutorEvent.DIED)
        self._usable[stage] -= 1
        owner, self._owner[stage][index] = self._owner[stage][index], None
        return owner

    def add(self, stage: int) -> None:
        """A fresh executor behind the others: the index of a lost one is never used again."""
        self._free[stage].insert(0, len(self._state[stage]))
        self._state[stage].append(_IDLE)
        self._owner[stage].append(None)
        self._usable[stage] += 1
        self.idle[stage] += 1

    def owner(self, stage: int, index: int) -> int | None:
        return self._owner[stage][index]

    def state(self, stage: int, index: int) -> ExecutorState:
        return self._state[stage][index]

    def count(self, stage: int) -> int:
        return len(self._state[stage])
