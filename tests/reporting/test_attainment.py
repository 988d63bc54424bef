"""The share of queries in time: its interval is exact, and wider where misses come in flocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dvabatch.reporting.attainment import BLOCKS, Attainment, attainment, blocks_of, clopper_pearson, incomplete_beta
from dvabatch.reporting.measured import Queries, Status
from dvabatch.reporting.percentiles import PERCENTILES, answers_needed

TAIL = 0.025


def at_least(met: int, offered: int, share: float) -> float:
    """P(so many or more in time), by adding up."""
    return math.fsum(
        math.comb(offered, k) * share**k * (1 - share) ** (offered - k) for k in range(met, offered + 1)
    )  # fmt: skip


@pytest.mark.parametrize(("met", "offered"), [(1, 2), (3, 10), (50, 100), (197, 200), (199, 200)])
def test_the_interval_is_where_a_tail_of_the_binomial_is_just_so_likely(met: int, offered: int) -> None:
    low, high = clopper_pearson(met, offered)
    assert at_least(met, offered, low) == pytest.approx(TAIL, rel=1e-9)
    assert 1 - at_least(met + 1, offered, high) == pytest.approx(TAIL, rel=1e-9)


def test_none_and_all_have_one_sided_ends() -> None:
    assert clopper_pearson(0, 10) == (0.0, pytest.approx(1 - TAIL ** (1 / 10)))
    assert clopper_pearson(10, 10) == (pytest.approx(TAIL ** (1 / 10)), 1.0)


@pytest.mark.parametrize("name", PERCENTILES)
def test_it_agrees_with_the_rule_for_percentiles(name: str) -> None:
    """So many queries as a percentile needs, all in time, just show its share; one fewer do not."""
    share = PERCENTILES[name]
    needed = answers_needed(share)
    if share > 0.5:
        assert clopper_pearson(needed, needed)[0] >= share > clopper_pearson(needed - 1, needed - 1)[0]


@pytest.mark.parametrize(("x", "a", "b"), [(0.3, 2, 3), (0.9, 40, 7), (0.001, 1, 900), (0.5, 200, 200)])
def test_the_incomplete_beta_function_is_a_binomial_tail(x: float, a: int, b: int) -> None:
    assert incomplete_beta(x, a, b) == pytest.approx(at_least(a, a + b - 1, x), rel=1e-9)


def test_it_settles_at_large_and_broken_counts() -> None:
    low, high = clopper_pearson(989_999.5, 1_000_000.25)
    assert 0.9897 < low < 0.99 < high < 0.9902


@pytest.mark.parametrize("words", [(-1, 10), (11, 10), (0, 0), (1, 2, 1.0)])
def test_what_is_no_share_is_refused(words: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        clopper_pearson(*words)
    with pytest.raises(ValueError, match="wanted"):
        Attainment(3, 2, 0.1, 0.2)


def test_flocks_say_less_than_as_many_strangers() -> None:
    evenly = attainment([(95, 100)] * 20)
    flocking = attainment([(100, 100)] * 19 + [(0, 100)])
    assert evenly.share == flocking.share == 0.95
    assert (evenly.low, evenly.high) == clopper_pearson(1900, 2000)
    assert flocking.low < evenly.low - 0.1
    assert flocking.high > evenly.high


def test_the_interval_covers_where_misses_come_in_flocks() -> None:
    """Of 200 runs of 20 blocks with a share of their own each (a beta of mean 0.9), the interval holds the true share in
    nearly as many as it says; taken as independent, the same queries would hold it far less often."""
    rng = np.random.default_rng(5)
    held = naive = 0
    for _ in range(200):
        met = rng.binomial(100, rng.beta(9, 1, BLOCKS))
        found = attainment([(int(each), 100) for each in met])
        low, high = clopper_pearson(int(met.sum()), 100 * BLOCKS)
        held += found.low <= 0.9 <= found.high
        naive += low <= 0.9 <= high
    assert held >= 0.92 * 200
    assert naive < 0.7 * 200


def test_without_chance_the_share_is_the_share() -> None:
    assert attainment([(9, 10), (0, 10)], exact=True) == Attainment(9, 20, 0.45, 0.45)


def test_blocks_count_every_query_once_and_only_answers_in_time() -> None:
    arrival = np.arange(7, dtype=np.int64) * 100
    done = arrival + np.array([10, 11, 10, 10, 10, 10, 10])
    status = np.zeros(7, np.uint8)
    status[[2, 3, 4]] = [Status.FAILED, Status.REJECTED, Status.CANCELLED]
    blocks = blocks_of(Queries(arrival, arrival, done, status), 10)
    assert blocks == ((1, 1), (0, 1), (0, 1), (0, 1), (0, 1), (1, 1), (1, 1))
    many = Queries(arrival.repeat(9), arrival.repeat(9), done.repeat(9), status.repeat(9))
    assert len(blocks_of(many, 10)) == BLOCKS
    assert sum(offered for _, offered in blocks_of(many, 10)) == 63
    assert sum(met for met, _ in blocks_of(many, 10)) == 27
