"""What is drawn from a seed, and whom it befalls: nothing here runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import DeviceLost, QueryCancelled
from dvabatch.batching.place import Place
from dvabatch.batching.query import Query
from dvabatch.runtime.faults import NEVER, Cancelling, Failing, Fate, Faults, Hanging, Hurrying, LosingDevice, Slow

QUERIES = 5000


def launch(launch_id: int, first: int = 0, last: int = 2) -> Launch:
    return Launch(launch_id, launch_id, 0, first, last, Place(0, 0, 1), (launch_id,), (0,) * (last - first + 1))


def fates(faults: Faults, count: int, first: int = 0, last: int = 2, now_ns: int = 0) -> dict[int, Fate]:
    """Those of launches 0 to count - 1, where there is one."""
    found = {}
    for number in range(count):
        faults.strike(launch(number, first, last), now_ns)
        fate = faults.take(number)
        if fate is not None:
            found[number] = fate
    return found


def cancelled(faults: Faults) -> set[int]:
    for number in range(QUERIES):
        faults.meet(Query(number, 0))
    return {event.query_id for event in faults.due(NEVER) if isinstance(event, QueryCancelled)}


def test_the_same_seed_gives_up_the_same_queries_whatever_else_is_planned() -> None:
    plan = [Cancelling(0.02, 0)]
    alone = cancelled(Faults(plan, seed=7))
    assert alone == cancelled(Faults([*plan, Failing(0, 0.5), LosingDevice(0)], seed=7))
    assert 60 < len(alone) < 140  # 100 are expected, with a deviation of 10
    assert alone != cancelled(Faults(plan, seed=8))
    assert cancelled(Faults([Cancelling(1.0, 0)], seed=7)) == set(range(QUERIES))


def test_lots_go_by_number_and_not_by_the_order_in_which_they_are_drawn() -> None:
    forwards, backwards = Faults([Cancelling(0.1, 0)], 1), Faults([Cancelling(0.1, 0)], 1)
    for number in range(QUERIES):
        forwards.meet(Query(number, 0))
        backwards.meet(Query(QUERIES - 1 - number, 0))
    assert forwards.due(NEVER) == backwards.due(NEVER)


def test_a_launch_is_counted_by_the_stages_that_it_goes_through() -> None:
    faults = Faults([Failing(2, launch=1)], 0)
    assert not fates(faults, 5, first=0, last=1)  # stage 2 saw none of them
    assert fates(faults, 3) == {1: Fate(2, False, ())}
    assert faults.counts["fail"] == 1


def test_the_share_that_fails_is_the_rate() -> None:
    found = fates(Faults([Failing(1, 0.1)], 3), QUERIES)
    assert 400 < len(found) < 600  # 500 are expected, with a deviation of 21
    assert {fate.reason for fate in found.values()} == {"stage 1 failed (injected)"}


@pytest.mark.parametrize(
    ("plan", "fate"),
    [
        ([Failing(1, launch=0), Hanging(1, launch=0)], Fate(1, True, ())),
        ([Failing(0, launch=0), Hanging(1, launch=0)], Fate(0, False, ())),
        ([Hanging(2, launch=0), Failing(1, launch=0)], Fate(1, False, ())),
        ([Slow(1, 3), Hanging(1, launch=0)], Fate(1, True, ())),
        ([Slow(0, 3), Slow(1, 2), Slow(1, 4), Failing(1, launch=0)], Fate(1, False, ((0, 3), (1, 2), (1, 4)))),
    ],
)
def test_what_comes_first_ends_a_launch_and_nothing_behind_it_runs(plan: list[Slow], fate: Fate) -> None:
    assert fates(Faults(plan, 0), 1) == {0: fate}


def test_factors_of_one_stage_multiply() -> None:
    fate = Fate(None, False, ((0, 3), (1, 2), (1, 4)))
    assert [fate.factor(stage) for stage in range(3)] == [3, 8, 1]


@pytest.mark.parametrize(("now_ns", "slowed"), [(9, False), (10, True), (19, True), (20, False)])
def test_a_stage_is_slow_in_its_time_only(now_ns: int, slowed: bool) -> None:
    assert bool(fates(Faults([Slow(1, 2, 10, 20)], 0), 1, now_ns=now_ns)) == slowed


def test_a_fate_is_taken_once() -> None:
    faults = Faults([Failing(0, 1.0)], 0)
    faults.strike(launch(0), 0)
    assert faults.take(0) is not None
    assert faults.take(0) is None


def test_cancellations_and_losses_come_when_they_are_due() -> None:
    faults = Faults([Cancelling(1.0, 100), LosingDevice(150)], 0)
    assert faults.next_ns == 150
    for number, arrival_ns in enumerate((60, 30)):
        faults.meet(Query(number, arrival_ns))
    assert faults.next_ns == 130
    assert faults.due(129) == []
    assert faults.due(150) == [QueryCancelled(1), DeviceLost("injected")]
    assert faults.due(200) == [QueryCancelled(0)]
    assert faults.next_ns == NEVER
    assert (faults.counts["cancel"], faults.counts["device_lost"]) == (2, 1)


@pytest.mark.parametrize(("own_ns", "met_ns"), [(None, 150), (200, 150), (120, 120)])
def test_the_earlier_deadline_counts(own_ns: int | None, met_ns: int) -> None:
    query = Faults([Hurrying(1.0, 50)], 0).meet(Query(3, 100, 7, own_ns))
    assert query == Query(3, 100, 7, met_ns)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Slow(0, 0.5),
        lambda: Slow(-1, 2),
        lambda: Slow(0, float("inf")),
        lambda: Slow(0, 2, 5, 5),
        lambda: Failing(0),
        lambda: Failing(0, 0.5, 3),
        lambda: Hanging(0, 1.5),
        lambda: Hanging(-1, 0.5),
        lambda: Cancelling(0, 5),
        lambda: Cancelling(0.5, -1),
        lambda: Hurrying(2, 5),
        lambda: LosingDevice(-1),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        make()
