"""A watched policy decides as ever, until more queries wait beyond their time than are forgiven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Operation
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.view import View
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch_cli.searching.lost_run import LostRun, Watched
from tests.batching.timeline import MS, flat

PLAIN = Normal(FillOrWait(1, 0, 1))  # one query at a time, a millisecond each


def run(policy: Policy, arrivals_ns: Sequence[int]) -> Journal:
    machine = Machine(Limits(1, 1, 1, 1), flat(1, most=1), policy, debug=True)
    return SimulatedDriver(machine).run(arrivals_ns)


def late(journal: Journal, bound_ns: int) -> int:
    return int(np.count_nonzero(np.asarray(journal.done_ns) - np.asarray(journal.arrival_ns) > bound_ns))


def test_a_run_that_is_not_lost_is_as_without() -> None:
    arrivals_ns = [k * MS * 9 // 10 for k in range(300)]
    watched = Watched(PLAIN, arrivals_ns, 5 * MS, 300)
    assert watched.digest == PLAIN.digest
    assert list(run(watched, arrivals_ns).done_ns) == list(run(PLAIN, arrivals_ns).done_ns)


@pytest.mark.parametrize("forgiven", [0, 1, 10, 40])
def test_what_is_called_lost_is_lost(forgiven: int) -> None:
    """Twice as many as can be served: the whole run misses more than was forgiven, and it ends long before it would."""
    arrivals_ns = [k * MS // 2 for k in range(400)]
    with pytest.raises(LostRun) as lost:
        run(Watched(PLAIN, arrivals_ns, 5 * MS, forgiven), arrivals_ns)
    whole = run(PLAIN, arrivals_ns)
    assert late(whole, 5 * MS) >= lost.value.lost > forgiven
    assert lost.value.now_ns < 0.4 * max(whole.done_ns)


def test_a_burst_that_is_still_in_time_is_not_lost() -> None:
    """Twenty wait at once, and the last is answered on its bound."""
    arrivals_ns = [0] * 20
    assert late(run(Watched(PLAIN, arrivals_ns, 20 * MS, 0), arrivals_ns), 20 * MS) == 0


@dataclass
class Seen:
    """What a policy is shown: an instant, and how many wait."""

    now_ns: int
    count: int

    @property
    def waiting(self) -> Seen:
        return self


class Idle:
    digest = "idle"

    def plan(self, view: View) -> tuple[Operation, ...]:
        return ()


def looks(watched: Watched, *seen: tuple[float, int]) -> None:
    for now_ms, count in seen:
        watched.plan(Seen(round(now_ms * MS), count))  # type: ignore[arg-type]


EACH_MS = [k * MS for k in range(1000)]


def test_a_host_that_stood_still_is_not_the_policy() -> None:
    """Nobody decides for 200 ms, then all who came meanwhile wait at once, long after their time."""
    looks(Watched(Idle(), EACH_MS, 10 * MS, 20), (0, 1), (200, 200), (201, 193), (205, 150), (209, 80), (219, 20))


def test_a_backlog_that_shrinks_is_not_lost_for_good() -> None:
    waits = [(at, 100 - at / 10) for at in range(0, 500, 5)]
    looks(Watched(Idle(), EACH_MS, 10 * MS, 20), *((at, round(count)) for at, count in waits))


def test_one_that_is_as_large_a_bound_later_is() -> None:
    watched = Watched(Idle(), EACH_MS, 10 * MS, 20)
    looks(watched, *((at, at) for at in range(40)))
    with pytest.raises(LostRun, match="queries wait beyond their time") as lost:
        looks(watched, *((at, at) for at in range(40, 60)))
    assert 20 < lost.value.lost <= 60 - 10
