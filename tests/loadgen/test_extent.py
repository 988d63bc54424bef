"""Bounds, nanoseconds and running sums, the arithmetic under every process."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.loadgen import extent
from dvabatch.loadgen.extent import Extent, Floats, running_sums, to_ns


@given(st.floats(0, 200), st.none() | st.integers(1, 300), st.integers(0, 99))
def test_running_sums_are_all_that_fit(until: float, count: int | None, seed: int) -> None:
    sums = running_sums(np.random.default_rng(seed).standard_exponential, count, until)
    everything = np.cumsum(np.random.default_rng(seed).standard_exponential(2000))
    np.testing.assert_array_equal(sums, everything[everything <= until][:count])


def test_running_sums_go_on_when_the_first_draw_was_too_small() -> None:
    sizes: list[int] = []

    def short_gaps(size: int) -> Floats:
        sizes.append(size)
        return np.full(size, 0.125)

    sums = running_sums(short_gaps, None, 100.0)
    np.testing.assert_array_equal(sums, np.arange(1, 801) / 8)
    assert len(sizes) > 1


def test_gaps_that_never_add_up_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extent, "MAX_ARRIVALS", 1000)
    with pytest.raises(ValueError, match="more than 1,000 arrivals: lower rate, duration or burstiness"):
        running_sums(np.zeros, None, 100.0)


@pytest.mark.parametrize(
    ("count", "duration_s", "kept"),
    [(None, None, 4), (2, None, 2), (9, None, 4), (None, 2e-9, 3), (None, 1e-9, 1), (2, 2e-9, 2), (None, 1e300, 4)],
)
def test_clip_includes_the_end(count: int | None, duration_s: float | None, kept: int) -> None:
    arrivals = np.array([0, 2, 2, 5])
    np.testing.assert_array_equal(Extent(count, duration_s).clip(arrivals), arrivals[:kept])


def test_nanoseconds_are_the_nearest() -> None:
    assert to_ns(np.array([0.0, 1.4e-9, 1.6e-9, 3600.000000001])).tolist() == [0, 1, 2, 3_600_000_000_001]


@pytest.mark.parametrize("time_s", [5e9, math.inf])
def test_times_past_the_clock_are_refused(time_s: float) -> None:
    with pytest.raises(ValueError, match="more than a clock of nanoseconds holds"):
        to_ns(np.array([1.0, time_s]))
