"""A minute of simulated time at twice the capacity: the queue is bounded, every query ends once, and memory is flat. (An hour:
make bench BENCH="--only soak".)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dvabatch.batching.operations import Operation
from dvabatch.batching.view import View
from dvabatch.runtime.journal import Outcome
from tests.soak.overload import MAX_QUEUE, POLICIES, Soaked, soak

MINUTE_S, SAMPLES = 60.0, 40
FEW_BLOCKS = 700  # the samples themselves are some 400; whoever keeps something for each launch keeps thousands


@pytest.fixture(scope="module", params=sorted(POLICIES))
def soaked(request: pytest.FixtureRequest) -> Soaked:
    return soak(POLICIES[request.param], MINUTE_S, samples=SAMPLES)


def test_every_query_ends_once_and_half_of_them_are_refused_for_want_of_room(soaked: Soaked) -> None:
    offered = soaked.journal.count
    assert 11_000 < offered < 13_000  # 200 a second
    ends = {how: soaked.count(how) for how in Outcome}
    assert ends.pop(Outcome.OPEN) == 0
    assert sum(ends.values()) == offered
    assert min(ends.values()) > 0
    assert sum(soaked.journal.reasons.values()) == offered - ends[Outcome.COMPLETED]
    assert soaked.journal.reasons[f"queue full ({MAX_QUEUE} waiting)"] > 0.3 * offered
    assert soaked.machine.idle
    assert min(soaked.befell[kind] for kind in ("slow", "fail", "cancel", "deadline")) > 0


def test_the_queue_is_never_longer_than_it_may_be_and_responses_do_not_grow(soaked: Soaked) -> None:
    assert soaked.longest_queue == MAX_QUEUE
    half = soaked.journal.count // 2  # what was slow on purpose lies before
    quarter = soaked.journal.count // 4
    early, late = (
        soaked.mean_response_ms(slice(half, half + quarter)),
        soaked.mean_response_ms(slice(half + quarter, None)),
    )
    assert late < 1.1 * early


def test_a_full_queue_rejects_at_once(soaked: Soaked) -> None:
    """A query that is rejected and had no deadline that could pass was refused in the instant of its arrival."""
    journal = soaked.journal
    rejected = [number for number, how in enumerate(journal.outcome) if how == Outcome.REJECTED]
    at_once = sum(journal.done_ns[number] == journal.arrival_ns[number] for number in rejected)
    assert at_once == journal.reasons[f"queue full ({MAX_QUEUE} waiting)"]
    assert len(rejected) - at_once == journal.reasons.get("deadline passed before entry", 0)


def test_memory_is_flat(soaked: Soaked) -> None:
    assert len(soaked.samples) >= SAMPLES - 1
    assert soaked.grown_blocks < FEW_BLOCKS


class Leaking:
    """NORMAL, and it keeps a little of every batch that it opens."""

    digest = "leaking"

    def __init__(self) -> None:
        self.kept: list[tuple[int, ...]] = []

    def plan(self, view: View) -> Iterator[Operation]:
        for operation in POLICIES["NORMAL"].plan(view):
            self.kept.append((view.now_ns, -view.now_ns))
            yield operation


def test_a_leak_of_a_few_bytes_a_batch_shows() -> None:
    assert soak(Leaking(), MINUTE_S, samples=SAMPLES).grown_blocks > 2 * FEW_BLOCKS
