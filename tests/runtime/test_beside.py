"""Two batches beside each other: at which distances they are run, and what comes of one that fails."""

from __future__ import annotations

import threading

import pytest

from dvabatch.runtime.beside import slowdown_beside
from engines.errors import EngineError

STAGES = 3


def test_every_distance_counts_alike() -> None:
    """Alone a stage takes 10, beside the same stage 10 too, beside others 16: in a third of the steps it is the same."""
    here: dict[int, int] = {}
    lock, meeting = threading.Lock(), threading.Barrier(2)
    alone = [2 * STAGES]  # runs to come in which nobody is beside

    def timed_ns(batch: int, stage: int) -> int:
        with lock:
            if alone[0]:
                alone[0] -= 1
                return 10
            here[batch] = stage
        meeting.wait()
        together = len(set(here.values())) == 1
        if meeting.wait() == 0:
            steps.append(together)
            if len(steps) % STAGES == 0:
                alone[0] = 2 * STAGES
        meeting.wait()
        return 10 if together else 16

    steps: list[bool] = []
    assert slowdown_beside(timed_ns, STAGES, 1, 2) == pytest.approx((1.0 + 1.6 + 1.6) / 3)
    assert steps == ([True] * 3 + [False] * 6) * 2


def test_one_that_fails_ends_the_other_and_is_told() -> None:
    def timed_ns(batch: int, stage: int) -> int:
        if batch == 1 and stage == 2:
            raise EngineError("out of memory")
        return 10

    with pytest.raises(EngineError, match="out of memory"):
        slowdown_beside(timed_ns, STAGES, 1, 1)
