"""The pace of arrivals: what it says of a steady stream, of a change, and of hardly any arrivals."""

from __future__ import annotations

import pytest

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


def told_after(*gaps_ms: float) -> float:
    arrived, now_ms, told = [0, 0], 0.0, 0.0
    pace = Pace(LANES, 4, arrived)  # the whole model takes 2 ms: means over 8 and 64 ms
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        arrived[0] += 1
        told = pace.utilization(round(now_ms * MS))
    return told


def test_a_burst_is_seen_soon_and_its_end_by_and_by() -> None:
    calm, burst = [5.0] * 60, [0.5] * 20  # 0.1, then 1.0 for 10 ms
    assert told_after(*calm) == pytest.approx(0.1, abs=0.03)
    assert told_after(*calm, *burst) > 0.5
    assert told_after(*calm, *burst, *[5.0] * 3) < 0.3
    assert 0.2 < told_after(*[0.5] * 200, *[5.0] * 12) < 0.6
    assert told_after(*[0.5] * 200, *[5.0] * 60) == pytest.approx(0.1, abs=0.05)


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
