from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.reporting.percentiles import (
    PERCENTILES,
    answers_needed,
    milliseconds_text,
    percentile_ns,
    percentile_text,
    rank,
    supported,
)


@pytest.mark.parametrize(("name", "needed"), [("p50", 6), ("p90", 36), ("p95", 72), ("p99", 368), ("p99.9", 3688)])
def test_the_published_sample_sizes_follow_from_the_rule(name: str, needed: int) -> None:
    assert answers_needed(PERCENTILES[name]) == needed
    assert supported(name, needed)
    assert not supported(name, needed - 1)


def covers(n: int, share: float) -> bool:
    """Whether some order statistics l < u of n answers bound the quantile with at most 2.5 % beyond each."""
    pmf = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    return pmf[0] <= 0.025 and pmf[n] <= 0.025


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 120), st.integers(1, 39))
def test_a_sample_supports_a_quantile_exactly_if_its_extremes_bound_it(n: int, fortieths: int) -> None:
    assert (n >= answers_needed(Fraction(fortieths, 40))) == covers(n, fortieths / 40)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=6, max_size=400), st.sampled_from(list(PERCENTILES)))
def test_a_percentile_is_the_smallest_answer_that_enough_others_do_not_exceed(values: list[int], name: str) -> None:
    found = percentile_ns(np.sort(np.array(values, np.int64)), name)
    if not supported(name, len(values)):
        assert found is None
        return
    share = PERCENTILES[name]
    wanted = min(value for value in values if Fraction(sum(other <= value for other in values), len(values)) >= share)
    assert found == wanted


def test_ranks_do_not_suffer_from_binary_fractions() -> None:
    assert rank(PERCENTILES["p95"], 20) == 19
    assert rank(PERCENTILES["p99.9"], 1000) == 999
    assert rank(PERCENTILES["p50"], 1) == 1


def test_a_share_outside_the_open_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="in \\(0, 1\\), got 1"):
        answers_needed(Fraction(1))


def test_what_is_missing_says_what_it_needs() -> None:
    assert percentile_text(None, "p99.9") == "n/a (needs 3,688)"
    assert percentile_text(12.34567, "p99.9") == "12.35"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.012344, "0.01234"), (1.0, "1.000"), (123.45, "123.5"), (12345.6, "12,346")]
)
def test_milliseconds_keep_four_digits(value: float, text: str) -> None:
    assert milliseconds_text(value) == text
