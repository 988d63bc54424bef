"""A host's pace, as its launches tell it while a run goes on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.costs import Costs
from dvabatch.batching.events import HostPaced
from dvabatch.batching.place import Place
from dvabatch.runtime.host_pace import HostPace

COSTS = Costs(launch_busy_ns_per_row=5_000, queueing_ns=40_000)


def launch(first: int = 0, last: int = 2, row: int = 0, rows: int = 1) -> Launch:
    return Launch(0, 0, 0, first, last, Place(0, row, rows), tuple(range(rows)), (0,) * (last - first + 1))


def after(took_ns: Iterable[float], what: Launch, costs: Costs = COSTS) -> HostPaced | None:
    """What is told after all of them."""
    host = HostPace(costs, 2)
    for each in took_ns:
        host.note(what, round(each))
    return host.news()


@pytest.mark.parametrize(("rows", "usual_ns"), [(1, 40_000), (5, 60_000)])
@pytest.mark.parametrize("pace", [0.5, 2.0])
def test_launches_tell_the_pace_by_their_rows(rows: int, usual_ns: int, pace: float) -> None:
    told = after([pace * usual_ns] * 100, launch(rows=rows))
    assert told is not None
    assert told.percent == pytest.approx(100 * pace, rel=0.03)


def test_it_is_what_is_usual_and_a_few_that_take_long_do_not_count() -> None:
    draws = np.random.default_rng(3).lognormal(np.log(60_000), 0.3, 400)
    draws[::10] *= 20
    told = after(draws, launch())
    assert told is not None
    assert told.percent == pytest.approx(150, rel=0.2)


def test_a_host_that_stays_as_it_is_is_hardly_ever_told_of() -> None:
    host, told = HostPace(COSTS, 2), 0
    for took_ns in np.random.default_rng(5).lognormal(np.log(40_000), 0.25, 2_000):
        host.note(launch(), round(took_ns))
        told += host.news() is not None
    assert told < 10


@pytest.mark.parametrize("what", [launch(first=1), launch(row=3), launch(last=1), launch(last=0)])
def test_launches_that_ask_for_other_calls_tell_nothing(what: Launch) -> None:
    assert after([1e6] * 100, what) is None


def test_a_profile_that_does_not_know_tells_nothing() -> None:
    assert after([1e6] * 100, launch(rows=2), Costs(queueing_ns=40_000)) is None


def test_only_what_has_changed_by_a_fifth_is_told_and_once() -> None:
    host = HostPace(COSTS, 2)
    for _ in range(9):
        host.note(launch(), 60_000)
    assert host.news() is None
    assert host.told == 1.0
    host.note(launch(), 60_000)
    assert host.news() == HostPaced(122)
    assert host.told == pytest.approx(1.02**10)
    assert host.news() is None


@pytest.mark.parametrize(("took_ns", "percent"), [(1, 25), (10**9, 800)])
def test_no_host_is_believed_to_be_much_faster_or_slower(took_ns: int, percent: int) -> None:
    assert after([took_ns] * 1000, launch()) == HostPaced(percent)
