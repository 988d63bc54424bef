from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.reporting import student


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (30, 2.04227)]
)
def test_quantiles_agree_with_the_printed_tables(freedom: int, t: float) -> None:
    assert student.quantile(0.95, freedom) == pytest.approx(t, abs=6e-6 * t)


def test_it_becomes_the_normal_distribution() -> None:
    assert student.inside(1.959964, 10_001) == pytest.approx(0.95, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_quantile_undoes_inside(freedom: int, confidence: float) -> None:
    assert student.inside(student.quantile(confidence, freedom), freedom) == pytest.approx(confidence, abs=1e-9)


def test_the_density_integrates_to_the_probability() -> None:
    freedom, upto, steps = 5, 1.7, 20_000
    scale = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
    width = upto / steps
    area = sum(
        scale * (1 + ((step + 0.5) * width) ** 2 / freedom) ** (-(freedom + 1) / 2) * width for step in range(steps)
    )
    assert student.inside(upto, freedom) == pytest.approx(2 * area, rel=1e-8)


def test_interval_and_p_of_a_mean() -> None:
    values = [0.8, 0.9, 1.0, 0.85, 0.95]
    interval = student.mean_interval(values)
    assert interval == pytest.approx((0.9 - 2.77645 * 0.0353553, 0.9 + 2.77645 * 0.0353553), rel=1e-5)
    edge = student.p_value(values, 0.9 + 2.77645 * 0.0353553)
    assert edge == pytest.approx(0.05, abs=1e-5)
    assert student.mean_interval([1.0]) is None
    assert student.p_value([1.0], 1.0) is None
    assert student.p_value([1.0, 1.0], 1.0) == 1.0
    assert student.p_value([2.0, 2.0], 1.0) == 0.0


@pytest.mark.parametrize(("confidence", "freedom"), [(0.0, 3), (1.0, 3), (0.5, 0)])
def test_impossible_questions_are_refused(confidence: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="wanted"):
        student.quantile(confidence, freedom)


def test_the_normal_distribution_is_what_it_tends_to() -> None:
    assert pytest.approx(1.959963984540054, rel=1e-12) == student.NORMAL_95
    assert student.quantile(0.95, 2000) == pytest.approx(student.NORMAL_95, rel=1e-3)
