"""The pace of arrivals: what it says of a steady stream, of a change, and of hardly any arrivals."""

from __future__ import annotations

import math
from random import Random

import pytest

from dvabatch.batching import pace as means
from dvabatch.batching.pace import Pace
from dvabatch.batching.profile import Profile

MS = 1_000_000
LANES = Profile.from_table(
    {
        "lanes": {
            "32": {"stages": [{"latency_ms": {"1": 1.0, "4": 2.0}}]},
            "64": {"stages": [{"latency_ms": {"1": 2.0, "4": 4.0}}]},
        }
    }
)  # at their best, 0.5 ms and 1 ms a query


def test_before_the_first_arrival_there_is_no_load() -> None:
    assert Pace(LANES, 4, [0, 0]).utilization(5 * MS) == 0


@pytest.mark.parametrize(("lane", "gap_ms", "load"), [(0, 1.0, 0.5), (0, 5.0, 0.1), (1, 1.25, 0.8)])
def test_a_steady_stream_is_told_from_its_start(lane: int, gap_ms: float, load: float) -> None:
    arrived = [0, 0]
    pace = Pace(LANES, 4, arrived)
    for number in range(200):
        arrived[lane] += 1
        told = pace.utilization(round(number * gap_ms * MS))
        if number * gap_ms > 120:
            assert told == pytest.approx(load, rel=0.2)


def test_a_batch_limit_below_the_best_makes_queries_dearer() -> None:
    for most, load in ((4, 0.5), (1, 1.0)):
        arrived = [0, 0]
        pace = Pace(LANES, most, arrived)
        for number in range(300):
            arrived[0] += 1
            told = pace.utilization(number * MS)
        assert told == pytest.approx(load, rel=0.05)


WIDE = Profile.from_table({"stages": [{"latency_ms": {"1": 2.0, "16": 3.2}}]})  # at its best 0.2 ms a query


def told(*gaps_ms: float) -> list[float]:
    """What is told at each arrival; the means are over 0.5, 4, 8 and 64 ms."""
    arrived, now_ms, loads = [0], 0.0, []
    pace = Pace(WIDE, 16, arrived)
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        arrived[0] += 1
        loads.append(pace.utilization(round(now_ms * MS)))
    return loads


CALM, BURST = [4.0] * 75, [0.2] * 75  # loads of 0.05 for 300 ms, and of 1.0 for 15 ms


def test_a_burst_is_seen_soon() -> None:
    assert told(*CALM)[-1] == pytest.approx(0.05, abs=0.01)
    during = told(*CALM, *BURST)[len(CALM) :]
    assert during[24] > 0.5  # after 5 ms
    assert during == sorted(during)  # its highest load counts


def test_a_burst_counts_as_a_mean_over_few_arrivals_may() -> None:
    """Its load is overestimated at its highest; that of a steady stream is not."""
    assert max(told(*CALM, *[0.1] * 100)) == 0.8
    assert told(*[0.16] * 1000)[-1] == pytest.approx(1.25, rel=0.05)


def test_a_short_lull_does_not_end_a_burst() -> None:
    peak = told(*CALM, *BURST)[-1]
    assert told(*CALM, *BURST, 3.0, 3.0)[-1] == peak


def test_a_remembered_burst_is_back_after_a_few_arrivals() -> None:
    loads = told(*CALM, *BURST, *[4.0] * 15, *BURST)
    lull, again = loads[-len(BURST) - 10 : -len(BURST)], loads[-len(BURST) :]
    assert max(lull) < 0.15
    assert again[3] == max(loads) == 0.8  # after 0.8 ms
    assert min(again[3:]) == again[3]


def test_a_burst_is_forgotten_in_the_end() -> None:
    """After six time constants of the long mean it takes as many arrivals as before the first one."""
    loads = told(*CALM, *BURST, *[4.0] * 115, *BURST)
    assert loads[-len(BURST) + 3] < 0.2
    assert told(*CALM, *BURST, *[4.0] * 90, *BURST)[-len(BURST) + 3] == 0.8


def test_a_handful_at_once_is_no_burst_to_remember() -> None:
    handful = [0.1] * 6
    loads = told(*CALM, *handful, *[4.0] * 20, *BURST)[len(CALM) :]
    assert max(loads[: len(handful)]) > 0.25
    assert max(loads[len(handful) + 5 : -len(BURST) + 4]) < 0.2


def test_steady_arrivals_show_no_bursts() -> None:
    """Clusters by chance are what five deviations leave out, all but a few."""
    gaps = Random(7)
    for load in (0.1, 0.3, 0.6):
        loads = told(*[gaps.expovariate(load / 0.2) for _ in range(4000)])[400:]
        assert sum(each > 1.7 * load for each in loads) < 0.05 * len(loads)


def test_it_does_not_matter_how_often_it_is_asked() -> None:
    arrived = [1, 0]
    often, once = Pace(LANES, 4, arrived), Pace(LANES, 4, arrived)
    for pace in (often, once):
        pace.utilization(0)
    arrived[1] += 1
    for now_ns in range(0, 40 * MS, MS):
        often.utilization(now_ns)
    once.utilization(0)
    assert often.utilization(40 * MS) == pytest.approx(once.utilization(40 * MS))


def test_arrivals_count_one_by_one_or_all_at_once() -> None:
    """A policy that asks for the first time hears of everybody who came before."""
    one_by_one, at_once = [0, 0], [3, 2]
    patient, late = Pace(LANES, 4, one_by_one), Pace(LANES, 4, at_once)
    for lane in (0, 0, 1, 0, 1):
        one_by_one[lane] += 1
        told = patient.utilization(5 * MS)
    assert told == pytest.approx(late.utilization(5 * MS))
    assert told > 0


def test_one_decay_is_squared_to_the_next() -> None:
    long, short, quick, instant = (
        math.exp(-1.7 / tau) for tau in (means._LONG, means._SHORT, means._QUICK, means._INSTANT)
    )
    assert means._squared(long, means._LONG_IN_SHORT) == pytest.approx(short)
    assert means._squared(short, means._SHORT_IN_QUICK) == pytest.approx(quick)
    assert means._squared(quick, means._QUICK_IN_INSTANT) == pytest.approx(instant)
