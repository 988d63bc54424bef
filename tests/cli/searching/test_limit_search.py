"""The search of one contender, on a prober that draws its answers from a share that is known at every rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest

from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch_cli.config import Config
from dvabatch_cli.halving import SEED_OFFSET
from dvabatch_cli.searching.limit import Ladder
from dvabatch_cli.searching.limit_search import LimitSearch
from dvabatch_cli.searching.probe import Probe
from dvabatch_cli.searching.slo import Slo
from dvabatch_cli.wiring import Contender
from tests.cli.short_config import config

CONTENDER = Contender("policy", {"scheduler_type": "NORMAL"}, Normal(FillOrWait(8, 0, 1)))
BLOCK = 200  # queries, twenty blocks a run


@dataclass
class Drawn:
    """A prober without a bed: below the limit few miss, beyond it ever more."""

    limit_rps: float = 100.0
    growing_beyond: float = math.inf
    invalid_beyond: float = math.inf
    slo: Slo = field(default_factory=lambda: Slo(Fraction(99, 100), 10_000_000))
    runs: int = 5
    capacity_rps: float = 200.0
    config: Config = field(default_factory=config)
    asked: list[tuple[float, int, bool]] = field(default_factory=list)

    def probe(self, contender: Contender, rate_rps: float, seed: int, *, whole: bool = False) -> Probe:
        self.asked.append((rate_rps, seed, whole))
        share = 1 - 0.01 * (rate_rps / self.limit_rps) ** 12  # just 99 % at the limit
        rng = np.random.default_rng([seed, round(1e6 * rate_rps)])
        met = rng.binomial(BLOCK, max(0.0, share), 20)
        probe = Probe(tuple((int(each), BLOCK) for each in met), rate_rps > self.growing_beyond, quantile_ms=rate_rps)
        return replace(probe, invalid_reasons=("late",)) if rate_rps > self.invalid_beyond else probe


def searched(prober: Drawn, *, exact: bool = False) -> LimitSearch:
    said: list[str] = []
    ladder = Ladder(100.0, 1.6, 6400.0, 0.01)
    search = LimitSearch(CONTENDER, prober, ladder, exact, said.append)  # type: ignore[arg-type]
    assert search.status == "interrupted"
    search.run()
    return search


@pytest.mark.parametrize("limit_rps", [30.0, 99.0, 100.0, 173.0, 1100.0])
def test_the_limit_lies_in_the_bracket(limit_rps: float) -> None:
    search = searched(Drawn(limit_rps))
    low, high = search.bracket.low_rps, search.bracket.high_rps
    assert low is not None
    assert high is not None
    assert low < limit_rps < high
    assert 1 - low / high < 0.06  # what 20,000 queries a rate can tell apart, here
    assert (search.status, search.kind) == ("found", "knee")


def test_an_interval_that_says_95_percent_is_rarely_wrong() -> None:
    """Of twelve searches, whose ends are chosen among a dozen rates and looked at again and again."""
    inside = 0
    for number in range(12):
        prober = Drawn(100.0 + 5 * number)
        edges = searched(prober).bracket
        assert edges.low_rps is not None
        assert edges.high_rps is not None
        inside += edges.low_rps <= prober.limit_rps <= edges.high_rps
    assert inside >= 11


def test_a_backlog_that_grows_right_behind_the_limit_is_a_cliff() -> None:
    search = searched(Drawn(1000.0, growing_beyond=77.0))
    low, high = search.bracket.low_rps, search.bracket.high_rps
    assert low is not None
    assert high is not None
    assert low <= 77 < high
    assert 1 - low / high <= 0.01
    assert search.kind == "cliff"


def test_both_ends_are_run_again_with_seeds_that_chose_nothing() -> None:
    prober = Drawn(173.0, config=config(load={"utilization": 0.5, "seeds": [7, 3]}))
    search = searched(prober)
    ends = {search.bracket.low_rps, search.bracket.high_rps}
    fresh = [(rate, seed) for rate, seed, whole in prober.asked if whole]
    assert ends <= {rate for rate, _ in fresh}
    assert {seed for _, seed in fresh} <= {7 + 2 * SEED_OFFSET + k for k in range(5)}
    usual = {seed for _, seed, whole in prober.asked if not whole}
    assert usual <= {7, 3, 8, 9, 10}
    assert all(search.rates[end].fresh for end in ends if end is not None)
    low = search.bracket.low_rps
    assert low is not None
    assert len(search.rates[low].probes) == 5  # what holds is shown by all of them


def test_a_rate_that_is_clear_takes_one_run() -> None:
    prober = Drawn(1000.0, growing_beyond=900.0)
    searched(prober)
    assert sum(rate == 100 for rate, _, _ in prober.asked) == 1


def test_without_chance_nothing_is_run_twice() -> None:
    prober = Drawn(173.0)
    search = searched(prober, exact=True)
    assert len(prober.asked) == len({rate for rate, _, _ in prober.asked}) == len(search.rates)
    assert search.status == "found"


def test_a_probe_that_stays_invalid_ends_the_search_and_says_nothing() -> None:
    search = searched(Drawn(500.0, invalid_beyond=350.0))
    assert search.status == "invalid"
    assert search.bracket.low_rps == 200
    assert search.bracket.high_rps is None
    assert search.kind is None
    assert 400 not in search.rates


def test_what_holds_nowhere_is_unreachable_and_how_near_it_came_is_known() -> None:
    search = searched(Drawn(0.1))
    assert (search.status, search.bracket.low_rps, search.kind) == ("unreachable", None, None)
    reached = search.lowest_quantile()
    assert reached is not None
    assert reached[0] == min(search.rates) == 1.6


def test_what_never_misses_has_no_end() -> None:
    search = searched(Drawn(1e6))
    assert (search.status, search.bracket.low_rps, search.bracket.high_rps) == ("no end", 6400, None)
    assert search.rates[6400].fresh


def test_too_few_queries_leave_it_undecided() -> None:
    @dataclass
    class Few(Drawn):
        def probe(self, contender: Contender, rate_rps: float, seed: int, *, whole: bool = False) -> Probe:
            return Probe(((20, 20),), saturated=False)

    search = searched(Few())
    assert search.status == "undecided"
    assert {at.verdict.value for at in search.rates.values()} == {"open"}
