"""The state tables: every step that is not in them raises, and says who, where and what."""

from __future__ import annotations

from itertools import product

import pytest

from dvabatch.batching.errors import TransitionError
from dvabatch.batching.states import (
    BATCH_TRANSITIONS,
    EXECUTOR_TRANSITIONS,
    BatchEvent,
    BatchState,
    ExecutorEvent,
    ExecutorState,
    next_batch_state,
    next_executor_state,
)

LEGAL = {
    "READY": {
        "LAUNCHED": "RUNNING", "HELD": "HELD", "JOINED": "MERGED", "DIVIDED": "SPLIT", "BROKE": "FAILED", "EMPTIED": "EMPTY",
    },
    "RUNNING": {"PASSED": "READY", "COMPLETED": "DELIVERED", "BROKE": "FAILED", "EMPTIED": "EMPTY", "VOIDED": "READY"},
    "HELD": {"RELEASED": "READY", "BROKE": "FAILED", "EMPTIED": "EMPTY"},
}  # fmt: skip


@pytest.mark.parametrize(("state", "event"), product(BatchState, BatchEvent))
def test_a_batch_takes_the_legal_step_or_none(state: BatchState, event: BatchEvent) -> None:
    following = LEGAL.get(state.name, {}).get(event.name)
    if following is not None:
        assert next_batch_state(7, state, event) is BatchState[following]
        return
    with pytest.raises(TransitionError, match=rf"batch 7 .*{state.name}.*{event.name}"):
        next_batch_state(7, state, event)


def test_no_end_can_be_left_and_every_state_can_be_reached() -> None:
    ends = {BatchState.DELIVERED, BatchState.MERGED, BatchState.SPLIT, BatchState.FAILED, BatchState.EMPTY}
    assert not {state for state, _ in BATCH_TRANSITIONS} & ends
    assert set(BATCH_TRANSITIONS.values()) == set(BatchState)
    assert {event for _, event in BATCH_TRANSITIONS} == set(BatchEvent)


@pytest.mark.parametrize(("state", "event"), product(ExecutorState, ExecutorEvent))
def test_an_executor_takes_the_legal_step_or_none(state: ExecutorState, event: ExecutorEvent) -> None:
    legal = {
        ("IDLE", "TAKEN"): "BUSY",
        ("BUSY", "RETURNED"): "IDLE",
        ("IDLE", "DIED"): "LOST",
        ("BUSY", "DIED"): "LOST",
    }
    following = legal.get((state.name, event.name))
    if following is not None:
        assert next_executor_state(2, 5, state, event) is ExecutorState[following]
        return
    with pytest.raises(TransitionError, match=rf"executor 5 of stage 2 .*{state.name}.*{event.name}"):
        next_executor_state(2, 5, state, event)


def test_a_lost_executor_stays_lost() -> None:
    assert not [state for state, _ in EXECUTOR_TRANSITIONS if state is ExecutorState.LOST]
