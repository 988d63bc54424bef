"""Which rate is looked at next: by what is known, whatever the policy behind it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch_cli.searching.limit import Bracket, Ladder, Verdict, bracket

HOLDS, MISSES, OVERLOADED, OPEN = Verdict.HOLDS, Verdict.MISSES, Verdict.OVERLOADED, Verdict.OPEN
LADDER = Ladder(100.0, 1.0, 10_000.0, 0.01)
MOST = 60  # rates that any search may take


def searched(answer: Callable[[float], Verdict], ladder: Ladder = LADDER) -> dict[float, Verdict]:
    judged: dict[float, Verdict] = {}
    while (rate := ladder.next_rate(judged)) is not None:
        assert rate not in judged
        assert ladder.floor_rps <= rate <= ladder.ceiling_rps
        judged[rate] = answer(rate)
        assert len(judged) <= MOST
    return judged


@given(st.floats(1.1, 9_000), st.sampled_from([MISSES, OVERLOADED]))
def test_a_limit_anywhere_is_bracketed(limit: float, beyond: Verdict) -> None:
    edges = bracket(searched(lambda rate: HOLDS if rate <= limit else beyond))
    assert edges.low_rps is not None
    assert edges.high_rps is not None
    assert edges.low_rps <= limit < edges.high_rps
    assert 1 - edges.low_rps / edges.high_rps <= LADDER.tolerance


@given(st.floats(1.3, 4_000), st.floats(1.001, 1.2))
def test_rates_that_stay_open_lie_inside(limit: float, doubt: float) -> None:
    """Both edges of what is open are found, each within the tolerance."""

    def answer(rate: float) -> Verdict:
        return HOLDS if rate <= limit / doubt else MISSES if rate > limit * doubt else OPEN

    edges = bracket(searched(answer))
    assert edges.low_rps is not None
    assert edges.high_rps is not None
    assert limit / doubt * 0.985 <= edges.low_rps <= limit / doubt
    assert limit * doubt <= edges.high_rps <= limit * doubt * 1.025


def test_it_doubles_until_one_misses_and_halves_the_bracket() -> None:
    rates = list(searched(lambda rate: HOLDS if rate <= 310 else OVERLOADED, Ladder(100, 1, 10_000, 0.1)))
    assert rates == [100, 200, 400, 300, 350, 325]


def test_a_policy_that_holds_only_where_company_is_near_is_found_above() -> None:
    judged = searched(lambda rate: MISSES if rate < 700 else HOLDS if rate <= 1000 else OVERLOADED)
    assert min(judged) == 1.0
    edges = bracket(judged)
    assert edges.low_rps is not None
    assert 990 <= edges.low_rps <= 1000


def test_beyond_an_overload_nothing_is_looked_for() -> None:
    judged = searched(lambda rate: OVERLOADED)
    assert list(judged) == [100, 50, 25, 12.5, 6.25, 3.125, 1.5625, 1]
    assert bracket(judged) == Bracket(None, 1.0)


def test_where_nothing_ever_misses_it_ends_at_the_ceiling() -> None:
    judged = searched(lambda rate: HOLDS)
    assert bracket(judged) == Bracket(10_000.0, None)


def test_no_rate_next_to_a_bound_is_looked_at_besides_it() -> None:
    """Rates have six digits: five times halved it comes to 10.5261 and not to the floor, seven times doubled to 43114.4."""
    ladder = Ladder(336.833, 10.526, 43114.7, 0.01)
    assert sorted(searched(lambda rate: OVERLOADED, ladder))[:2] == [10.526, 21.0522]
    assert sorted(searched(lambda rate: HOLDS, ladder))[-2:] == [21557.2, 43114.7]


@pytest.mark.parametrize("part", [1.001, 1.009])
def test_a_start_next_to_the_floor_is_the_floor(part: float) -> None:
    assert len(searched(lambda rate: OVERLOADED, Ladder(100.0 * part, 100.0, 10_000.0, 0.01))) == 1


def test_the_widest_tolerance_still_reaches_both_bounds() -> None:
    ladder = Ladder(32.0, 1.0, 1024.0, 0.5)
    assert min(searched(lambda rate: OVERLOADED, ladder)) == 1
    assert max(searched(lambda rate: HOLDS, ladder)) == 1024


def test_a_verdict_that_fresh_seeds_took_back_moves_the_bracket_down() -> None:
    judged = searched(lambda rate: HOLDS if rate <= 310 else MISSES)
    low = bracket(judged).low_rps
    assert low is not None
    judged[low] = OPEN
    following = LADDER.next_rate(judged)
    assert following is None or following < low
    assert bracket(judged).low_rps != low


@pytest.mark.parametrize("words", [(0, 0, 1, 0.1), (2, 3, 4, 0.1), (5, 3, 4, 0.1), (2, 1, 4, 0.6), (2, 1, 4, 0.0001)])
def test_bounds_that_make_no_sense_are_refused(words: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Ladder(*words)
