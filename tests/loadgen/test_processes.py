"""Laws of every arrival process, and the statistics that tell them apart."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.loadgen.processes import Constant, Gamma, Mmpp, Poisson, Process, Ramp, Step
from dvabatch.loadgen.replay import Replay

SECOND = 1_000_000_000

rates = st.floats(0.5, 5_000)
seeds = st.integers(0, 2**64)
endless: st.SearchStrategy[Process] = st.one_of(
    st.builds(Constant, rates),
    st.builds(Poisson, rates),
    st.builds(Gamma, rates, st.floats(0.05, 50) | st.just(math.inf)),
    st.builds(
        lambda low, more, dwells: Mmpp(low, low + more, *dwells),
        st.just(0.0) | rates,
        rates,
        st.tuples(st.floats(0.01, 2), st.floats(0.01, 2)),
    ),
)
steps = st.lists(st.tuples(st.floats(0.01, 2), st.just(0.0) | rates), min_size=1, max_size=5)
ending: st.SearchStrategy[Process] = st.one_of(
    st.builds(Step, steps.filter(lambda steps: any(rate for _, rate in steps))),
    st.builds(Ramp, st.just(0.0) | rates, rates, st.floats(0.01, 2)),
    st.builds(Ramp, rates, st.just(0.0) | rates, st.floats(0.01, 2)),
    st.lists(st.integers(0, 2 * SECOND), min_size=2, max_size=50, unique=True).map(
        lambda times: Replay(np.array(sorted(times), dtype=np.int64))
    ),
)
processes = endless | ending


@given(processes, st.integers(1, 500), st.floats(0.001, 3), seeds)
def test_arrivals_are_sorted_and_within_both_bounds(process: Process, count: int, duration_s: float, seed: int) -> None:
    arrivals = process.arrivals_ns(count, duration_s, seed)
    assert arrivals.dtype == np.int64
    assert len(arrivals) <= count
    assert (np.diff(arrivals) >= 0).all()
    if len(arrivals):
        assert arrivals[0] >= 0
        assert arrivals[-1] <= round(duration_s * SECOND)


@given(endless, st.integers(1, 500), seeds)
def test_an_endless_process_gives_the_count_asked_for(process: Process, count: int, seed: int) -> None:
    assert len(process.arrivals_ns(count, None, seed)) == count


@given(endless, st.integers(1, 300), st.integers(1, 300), seeds)
def test_a_longer_answer_begins_with_the_shorter(process: Process, count: int, more: int, seed: int) -> None:
    short = process.arrivals_ns(count, None, seed)
    long = process.arrivals_ns(count + more, None, seed)
    np.testing.assert_array_equal(long[:count], short)


@given(processes, st.integers(1, 300), st.floats(0.001, 2), seeds)
def test_two_bounds_are_the_stricter_of_each(process: Process, count: int, duration_s: float, seed: int) -> None:
    """However it is computed, a bound only cuts: nothing else in the answer depends on it."""
    both = process.arrivals_ns(count, duration_s, seed)
    np.testing.assert_array_equal(both, process.arrivals_ns(None, duration_s, seed)[:count])
    by_count = process.arrivals_ns(count, None, seed)
    np.testing.assert_array_equal(both, by_count[by_count <= round(duration_s * SECOND)])


@given(st.builds(Poisson, rates) | st.builds(Gamma, rates, st.floats(0.2, 5)), rates, seeds)
def test_the_same_seed_at_another_rate_is_the_same_pattern_scaled(process: Process, rate: float, seed: int) -> None:
    slow = process.arrivals_ns(200, None, seed) * process.mean_rate_rps
    other = process.at_rate(rate).arrivals_ns(200, None, seed) * rate
    # Half a nanosecond of rounding on either side.
    np.testing.assert_allclose(slow, other, rtol=1e-12, atol=process.mean_rate_rps + rate)


@given(processes, rates)
def test_at_rate_sets_the_mean_rate(process: Process, rate: float) -> None:
    other = process.at_rate(rate)
    # A replay's new times are whole nanoseconds too: half of one may be lost at its end.
    lost = 1 / int(other.offsets_ns[-1]) if isinstance(other, Replay) else 0.0
    assert other.mean_rate_rps == pytest.approx(rate, rel=lost + 1e-12)
    assert type(other) is type(process)


@given(processes, seeds)
@settings(max_examples=30)
def test_arrivals_depend_on_arguments_alone(process: Process, seed: int) -> None:
    np.testing.assert_array_equal(process.arrivals_ns(50, 1.0, seed), process.arrivals_ns(50, 1.0, seed))


@pytest.mark.parametrize(
    ("process", "relative_error"),
    [  # about four standard errors of the count
        (Constant(1000.0), 1e-9),
        (Poisson(1000.0), 4 / math.sqrt(200_000)),
        (Gamma(1000.0, 0.25), 4 / math.sqrt(200_000 * 0.25)),
        (Gamma(1000.0, 4.0), 4 / math.sqrt(200_000 * 4)),
        (Mmpp(100.0, 1900.0, 0.01, 0.01), 0.04),
        (Step([(50.0, 500.0), (50.0, 1500.0)]), 4 / math.sqrt(100_000)),
        (Ramp(0.0, 2000.0, 100.0), 4 / math.sqrt(100_000)),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_mean_rate_is_the_one_asked_for(process: Process, relative_error: float, seed: int) -> None:
    duration_s = 100.0 if isinstance(process, Step | Ramp) else 200.0
    count = len(process.arrivals_ns(None, duration_s, seed))
    assert process.mean_rate_rps == pytest.approx(1000)
    assert count / duration_s == pytest.approx(process.mean_rate_rps, rel=relative_error)


@pytest.mark.parametrize("burstiness", [0.1, 0.5, 1.0, 2.0, 10.0])
def test_burstiness_is_the_inverse_of_the_gaps_squared_variation(burstiness: float) -> None:
    gaps = gaps_of(Gamma(1000.0, burstiness))
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(1 / burstiness, rel=0.05)


def test_the_tail_of_the_gaps_is_whole() -> None:
    """Of a million exponential gaps, e^-7 are above seven means and one or two above thirteen."""
    gaps = gaps_of(Poisson(1000.0), 1_000_000) / 1e6
    assert (gaps > 3).mean() == pytest.approx(math.exp(-3), rel=0.02)
    assert (gaps > 7).mean() == pytest.approx(math.exp(-7), rel=0.15)
    assert gaps.max() > 11


def test_gamma_meets_poisson_and_constant_exactly() -> None:
    pairs: list[tuple[Process, Process]] = [
        (Gamma(7.0, 1.0), Poisson(7.0)),
        (Gamma(7.0, math.inf), Constant(7.0)),
    ]
    for gamma, other in pairs:
        np.testing.assert_array_equal(gamma.arrivals_ns(1000, None, 5), other.arrivals_ns(1000, None, 5))


def test_constant_comes_one_gap_after_the_other() -> None:
    assert Constant(4.0).arrivals_ns(None, 1.0, 0).tolist() == [SECOND // 4, SECOND // 2, SECOND * 3 // 4, SECOND]
    assert Constant(3.0).arrivals_ns(3, None, 0).tolist() == [333_333_333, 666_666_667, SECOND]


def test_mmpp_shows_both_rates() -> None:
    """Windows much shorter than a dwell hold the low count or the high one, and few hold something between."""
    arrivals = Mmpp(100.0, 10_000.0, 2.0, 1.0).arrivals_ns(None, 300.0, 4)
    windows = np.bincount(arrivals // (SECOND // 20), minlength=6000)  # 50 ms: 5 or 500 expected
    low, high = (windows < 25), (windows > 400)
    assert (low | high).mean() > 0.9
    assert high.mean() == pytest.approx(1 / 3, abs=0.1)
    assert windows[low].mean() * 20 == pytest.approx(100, rel=0.05)
    assert windows[high].mean() * 20 == pytest.approx(10_000, rel=0.02)


def test_mmpp_is_silent_in_a_state_of_rate_0() -> None:
    gaps = gaps_of(Mmpp(0.0, 1000.0, 0.5, 0.5), 20_000) / SECOND
    silences = gaps[gaps > 0.05]  # e^-50 between two of a burst
    assert silences.mean() == pytest.approx(0.55, rel=0.3)


def test_mmpp_starts_in_its_mix_of_states() -> None:
    process = Mmpp(1.0, 1000.0, 3.0, 1.0)
    starts_high = [len(process.arrivals_ns(None, 0.02, seed)) > 4 for seed in range(1000)]
    assert np.mean(starts_high) == pytest.approx(0.25, abs=0.05)


def test_step_goes_from_one_rate_to_the_next() -> None:
    arrivals = Step([(10.0, 1000.0), (5.0, 0.0), (10.0, 4000.0)]).arrivals_ns(None, None, 3)
    counts = np.bincount(arrivals // (5 * SECOND), minlength=5)
    np.testing.assert_allclose(counts, [5000, 5000, 0, 20_000, 20_000], rtol=0.06)
    assert counts[2] == 0
    assert arrivals[-1] <= 25 * SECOND


@pytest.mark.parametrize(("start", "end"), [(0.0, 4000.0), (4000.0, 0.0), (1000.0, 3000.0), (2000.0, 2000.0)])
def test_ramp_grows_in_a_straight_line(start: float, end: float) -> None:
    arrivals = Ramp(start, end, 20.0).arrivals_ns(None, None, 3)
    counts = np.bincount(arrivals // (5 * SECOND), minlength=4)
    middles = start + (end - start) * np.array([0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(counts, middles * 5, rtol=0.06)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Poisson(0.0),
        lambda: Poisson(math.nan),
        lambda: Poisson(math.inf),
        lambda: Constant(-1.0),
        lambda: Gamma(1.0, 0.0),
        lambda: Gamma(1.0, math.nan),
        lambda: Mmpp(-1.0, 1.0, 1.0, 1.0),
        lambda: Mmpp(0.0, 0.0, 1.0, 1.0),
        lambda: Mmpp(2.0, 1.0, 1.0, 1.0),
        lambda: Mmpp(0.0, 1.0, 0.0, 1.0),
        lambda: Step([]),
        lambda: Step([(1.0, 0.0)]),
        lambda: Step([(0.0, 1.0)]),
        lambda: Step([(1.0, 2.0, 3.0)]),  # type: ignore[list-item]
        lambda: Ramp(0.0, 0.0, 1.0),
        lambda: Ramp(0.0, 1.0, math.inf),
        lambda: Poisson(1.0).at_rate(0.0),
        lambda: Mmpp(0.0, 1.0, 1.0, 1.0).at_rate(math.inf),
    ],
)
def test_impossible_parameters_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="must"):
        make()


@pytest.mark.parametrize("process", [Poisson(1.0), Mmpp(1.0, 2.0, 1.0, 1.0)])
def test_an_endless_process_needs_a_bound(process: Process) -> None:
    with pytest.raises(ValueError, match="never ends: give num_requests, duration_s or both"):
        process.arrivals_ns(None, None, 0)


@pytest.mark.parametrize(
    ("count", "duration_s", "seed"),
    [
        (0, None, 0),
        (-1, None, 0),
        (True, None, 0),
        (10**9, None, 0),
        (None, 0.0, 0),
        (None, math.inf, 0),
        (1, None, -1),
    ],
)
def test_impossible_bounds_and_seeds_are_refused(count: int | None, duration_s: float | None, seed: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Poisson(1.0).arrivals_ns(count, duration_s, seed)


@pytest.mark.parametrize("process", [Poisson(1e9), Mmpp(1e9, 1e9, 1.0, 1.0), Step([(1e3, 1e9)]), Ramp(1e9, 1e9, 1e3)])
def test_more_arrivals_than_fit_are_refused_before_they_are_drawn(process: Process) -> None:
    with pytest.raises(ValueError, match="50,000,000 fit: lower rate or duration"):
        process.arrivals_ns(None, 1e3, 0)


@pytest.mark.parametrize("rate", [1e-9, 1e-300])
def test_arrivals_past_the_clock_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="more than a clock of nanoseconds holds"):
        Poisson(rate).arrivals_ns(100, None, 0)


def gaps_of(process: Process, count: int = 200_000) -> npt.NDArray[np.int64]:
    return np.diff(process.arrivals_ns(count, None, 11))
