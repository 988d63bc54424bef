"""The state tables of batches and executors: the law as data; whatever is not in a table is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from dvabatch.batching.errors import TransitionError


class BatchState(IntEnum):
    """Where a batch stands. The last five are ends."""

    READY = 0  # at a boundary (or the entry), free to be launched, joined, divided or held
    RUNNING = 1  # a launch of it is in flight
    HELD = 2  # at a boundary, waiting for its tail to arrive
    DELIVERED = 3  # its queries passed the last stage
    MERGED = 4  # its queries live on in the batch that it joined
    SPLIT = 5  # its queries live on in its parts
    FAILED = 6  # a launch of it failed, or what it needs is lost
    EMPTY = 7  # all its queries were cancelled


class BatchEvent(IntEnum):
    """What befalls a batch."""

    LAUNCHED = 0
    PASSED = 1  # a launch ended and stages remain
    COMPLETED = 2  # a launch ended and none remains
    HELD = 3
    RELEASED = 4  # its tail arrived, or ended
    JOINED = 5  # merged into a head
    DIVIDED = 6
    BROKE = 7
    EMPTIED = 8
    VOIDED = 9  # a launch queued behind a lost one never started


_S, _E = BatchState, BatchEvent

BATCH_TRANSITIONS: Final[Mapping[tuple[BatchState, BatchEvent], BatchState]] = {
    (_S.READY, _E.LAUNCHED): _S.RUNNING,
    (_S.READY, _E.HELD): _S.HELD,
    (_S.READY, _E.JOINED): _S.MERGED,
    (_S.READY, _E.DIVIDED): _S.SPLIT,
    (_S.READY, _E.BROKE): _S.FAILED,
    (_S.READY, _E.EMPTIED): _S.EMPTY,
    (_S.RUNNING, _E.PASSED): _S.READY,
    (_S.RUNNING, _E.COMPLETED): _S.DELIVERED,
    (_S.RUNNING, _E.BROKE): _S.FAILED,
    (_S.RUNNING, _E.EMPTIED): _S.EMPTY,
    (_S.RUNNING, _E.VOIDED): _S.READY,
    (_S.HELD, _E.RELEASED): _S.READY,
    (_S.HELD, _E.BROKE): _S.FAILED,
    (_S.HELD, _E.EMPTIED): _S.EMPTY,
}


class ExecutorState(IntEnum):
    """Where an executor stands: one execution context of one stage."""

    IDLE = 0
    BUSY = 1
    LOST = 2


class ExecutorEvent(IntEnum):
    TAKEN = 0
    RETURNED = 1
    DIED = 2


_X, _V = ExecutorState, ExecutorEvent

EXECUTOR_TRANSITIONS: Final[Mapping[tuple[ExecutorState, ExecutorEvent], ExecutorState]] = {
    (_X.IDLE, _V.TAKEN): _X.BUSY,
    (_X.IDLE, _V.DIED): _X.LOST,
    (_X.BUSY, _V.RETURNED): _X.IDLE,
    (_X.BUSY, _V.DIED): _X.LOST,
}


# The same tables by index (state, then event; None is no step): every launch takes several steps, and a pair's hash is slow.
BATCH_STEPS: Final = tuple(tuple(BATCH_TRANSITIONS.get((s, e)) for e in BatchEvent) for s in BatchState)
EXECUTOR_STEPS: Final = tuple(tuple(EXECUTOR_TRANSITIONS.get((s, e)) for e in ExecutorEvent) for s in ExecutorState)


def next_batch_state(batch_id: int, state: BatchState, event: BatchEvent) -> BatchState:
    """The state behind `event`.

    Raises:
        TransitionError: the table holds no such step; the message names batch, state and event.
    """
    following = BATCH_STEPS[state][event]
    if following is None:
        raise TransitionError(f"batch {batch_id} is {state.name} and cannot be {event.name}")
    return following


def next_executor_state(stage: int, index: int, state: ExecutorState, event: ExecutorEvent) -> ExecutorState:
    """The state behind `event`.

    Raises:
        TransitionError: the table holds no such step; the message names executor, state and event.
    """
    following = EXECUTOR_STEPS[state][event]
    if following is None:
        raise TransitionError(f"executor {index} of stage {stage} is {state.name} and cannot be {event.name}")
    return following
