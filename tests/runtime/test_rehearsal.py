from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFinished
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Operation, Wake
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.view import View
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.polling import PollingDriver
from dvabatch.runtime.rehearsal import Rehearsal
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.tensors import TensorTable
from tests.runtime.rig import quick_table, token_of
from tests.runtime.test_threaded import MAX_BATCH, POLICIES, STAGES

LANES = (8, 16, 32)
US = 1_000
ALL: dict[str, Policy] = {
    **POLICIES,
    "waiting": Normal(FillOrWait(MAX_BATCH, 2_000_000, 1)),
    "AUTO": Auto((Setting(1.0, FillOrWait(4, 500_000, 2), in_room=True, catching_up=True),)),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("lanes", [(None,), LANES])
def test_one_query_after_the_other_passes_a_machine_of_its_own(name: str, lanes: tuple[int | None, ...]) -> None:
    profile, _ = quick_table(STAGES, MAX_BATCH, [lane for lane in lanes if lane is not None])
    machine = Machine(Limits(STAGES, MAX_BATCH, lanes=lanes), profile, ALL[name])
    rehearsal = Rehearsal(machine)
    for played in range(1, 21):
        assert rehearsal.play()
        assert rehearsal.queries == played
    assert machine.idle
    assert machine.ledger.now_ns == 0
    assert not any(machine.operations.values())


class _Sociable:
    """A policy that opens no batch for one query alone; it asks again and again, or never."""

    digest = "sociable"

    def __init__(self, *, asks_again: bool) -> None:
        self._asks_again = asks_again

    def plan(self, view: View) -> Iterable[Operation]:
        return (Wake(view.now_ns + US),) if self._asks_again else ()


@pytest.mark.parametrize("asks_again", [True, False])
def test_a_policy_that_waits_for_company_is_not_rehearsed(asks_again: bool) -> None:
    profile, _ = quick_table(STAGES, MAX_BATCH)
    machine = Machine(Limits(STAGES, MAX_BATCH), profile, _Sociable(asks_again=asks_again))
    assert not Rehearsal(machine).play()


class _Timed:
    """Launches that take their time by a clock, and compute nothing."""

    def __init__(self, clock: Sequence[int], take_ns: int) -> None:
        self._clock = clock
        self._take_ns = take_ns
        self._ends: list[tuple[int, int]] = []

    @property
    def in_flight(self) -> bool:
        return bool(self._ends)

    def start(self, launch: Launch) -> None:
        self._ends.append((self._clock[0] + self._take_ns, launch.id))

    def give_up(self, launch: Launch) -> bool:
        return False

    def poll(self) -> list[Event]:
        ended = [launch_id for end_ns, launch_id in self._ends if end_ns <= self._clock[0]]
        self._ends = [each for each in self._ends if each[1] not in ended]
        return [LaunchFinished(launch_id) for launch_id in ended]


@pytest.mark.parametrize(
    ("first_ns", "take_ns", "tick_ns", "least", "most"),
    [
        (1_000 * US, 10 * US, US, 15, 20),  # before it comes
        (5 * US, 1_000 * US, US, 15, 20),  # while it is under way
        (5 * US, 30 * US, US, 0, 0),  # right behind a decision there is nothing to warm
        (
            4_000 * US,
            100 * US,
            20 * US,
            12,
            20,
        ),  # rehearsals that take 20 us: every 200 us, seen a loop of 100 us later
    ],
)
def test_a_polling_driver_rehearses_now_and_then_while_it_decides_nothing(
    first_ns: int, take_ns: int, tick_ns: int, least: int, most: int
) -> None:
    played = _played([first_ns], take_ns, tick_ns, rehearses=True) - 2  # two before it begins
    assert least <= played <= most


def test_it_does_not_where_it_must_not() -> None:
    assert _played([1_000 * US], 1_000 * US, US, rehearses=False) == 0


def test_rehearsals_stay_seldom_where_a_decision_comes_before_the_next_is_due() -> None:
    """They take 40 us each: one in 400 us at the most, though queries come every 300."""
    played = _played(
        [300 * US * number for number in range(1, 101)], 10 * US, US, rehearses=True, plan_ns=lambda _: 40 * US
    )
    assert 50 <= played <= 80


def test_one_that_is_disturbed_does_not_end_them() -> None:
    """One of them takes 6 ms: twice as long as there ever is until the next query."""
    arrivals_ns = [2_000 * US * number for number in range(1, 51)]
    played = _played(arrivals_ns, 200 * US, US, rehearses=True, plan_ns=lambda call: 6_000 * US if call == 10 else 0)
    assert played > 500


class _Dear:
    """A policy whose plans take time by a clock: `plan_ns` of the how manieth it is."""

    def __init__(self, policy: Policy, clock: list[int], plan_ns: Callable[[int], int]) -> None:
        self._policy = policy
        self._clock = clock
        self._plan_ns = plan_ns
        self._calls = 0
        self.digest = policy.digest

    def plan(self, view: View) -> Iterable[Operation]:
        self._calls += 1
        self._clock[0] += self._plan_ns(self._calls)
        return self._policy.plan(view)


def _played(
    arrivals_ns: list[int],
    take_ns: int,
    tick_ns: int,
    *,
    rehearses: bool,
    plan_ns: Callable[[int], int] = lambda _: 0,
) -> int:
    """How often a driver rehearsed that served these queries; each reading of its clock takes `tick_ns`."""
    profile, stages = quick_table(STAGES, MAX_BATCH)
    limits = Limits(STAGES, MAX_BATCH)
    examples = [{name: rows[None] for name, rows in token_of(0).items()}]
    table = TensorTable(lay_out(stages, examples, [tensor.name for tensor in stages[-1].outputs]), 1, MAX_BATCH)
    now = [0]

    def clock() -> int:
        now[0] += tick_ns
        return now[0]

    journal = Journal(len(arrivals_ns), None)
    policy = _Dear(Normal(FillOrWait(MAX_BATCH, 0, 1)), now, plan_ns)
    machine = Machine(limits, profile, policy)
    driver = PollingDriver(machine, table, JournalObserver(journal), clock=clock)
    driver.rehearses = rehearses
    driver.run(_Timed(now, take_ns), PullArrivals(arrivals_ns, None))
    assert all(done >= arrival + take_ns for done, arrival in zip(journal.done_ns, arrivals_ns, strict=True))
    assert 0 < machine.operations["new"] <= len(arrivals_ns)  # and none of those that were rehearsed
    return driver.rehearsed
