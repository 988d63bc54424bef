"""A schedule is a fact: reproducible, hashed and unchangeable."""

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.loadgen import Schedule, make_schedule
from dvabatch.loadgen.lengths import ConstantLength, LognormalLength, UniformLength
from dvabatch.loadgen.processes import Constant, Poisson, Step


def a_schedule(seed: int = 1) -> Schedule:
    return make_schedule(Poisson(100.0), UniformLength(8, 128), num_requests=200, max_duration_s=None, seed=seed)


def test_the_first_bound_ends_it() -> None:
    assert len(make_schedule(Constant(10.0), num_requests=5, max_duration_s=60, seed=0)) == 5
    schedule = make_schedule(Constant(10.0), num_requests=500, max_duration_s=2, seed=0)
    assert (len(schedule), schedule.duration_s) == (20, 2.0)


def test_it_says_where_it_came_from() -> None:
    schedule = make_schedule(Step([(1.0, 100.0), (1.0, 300.0)]), num_requests=None, max_duration_s=None, seed=9)
    assert (schedule.process, schedule.rate_rps, schedule.seed, schedule.lengths) == ("step", 200.0, 9, None)


@given(st.integers(0, 2**64), st.integers(1, 100))
def test_lengths_and_arrivals_do_not_change_each_other(seed: int, count: int) -> None:
    def schedule(rate: float, median: float) -> Schedule:
        lengths = LognormalLength(median, 0.7, 1000)
        return make_schedule(Poisson(rate), lengths, num_requests=count, max_duration_s=None, seed=seed)

    one, faster, longer = schedule(10.0, 50.0), schedule(20.0, 50.0), schedule(10.0, 70.0)
    np.testing.assert_array_equal(one.arrivals_ns, longer.arrivals_ns)
    np.testing.assert_array_equal(one.lengths, faster.lengths)
    without = make_schedule(Poisson(10.0), num_requests=count, max_duration_s=None, seed=seed)
    np.testing.assert_array_equal(one.arrivals_ns, without.arrivals_ns)


def test_the_hash_is_over_the_integers_alone() -> None:
    schedule = make_schedule(Constant(1.0), num_requests=3, max_duration_s=None, seed=0)
    other_seed = make_schedule(Constant(1.0), num_requests=3, max_duration_s=None, seed=8)
    assert schedule.sha256 == other_seed.sha256
    integers = b"3 False\n" + struct.pack("<3q", 10**9, 2 * 10**9, 3 * 10**9)
    assert schedule.sha256 == hashlib.sha256(integers).hexdigest()
    with_lengths = make_schedule(Constant(1.0), ConstantLength(1), num_requests=3, max_duration_s=None, seed=0)
    longer = make_schedule(Constant(1.0), ConstantLength(2), num_requests=3, max_duration_s=None, seed=0)
    assert len({schedule.sha256, with_lengths.sha256, longer.sha256, a_schedule().sha256}) == 4


def test_same_seed_same_schedule_other_seed_another() -> None:
    assert a_schedule(1) == a_schedule(1)
    assert a_schedule(1).sha256 != a_schedule(2).sha256


def test_its_arrays_cannot_be_written() -> None:
    source = np.array([1, 2, 3], dtype=np.int64)
    first = make_schedule(Constant(1.0), num_requests=3, max_duration_s=None, seed=0)
    source[:] = first.arrivals_ns
    schedule = replace(first, arrivals_ns=source)
    source[0] = 0
    assert schedule.arrivals_ns[0] == first.arrivals_ns[0]
    with pytest.raises(ValueError, match="read-only"):
        schedule.arrivals_ns[0] = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrivals_ns": np.array([2, 1], dtype=np.int64)}, "sorted"),
        ({"arrivals_ns": np.array([-1, 1], dtype=np.int64)}, "sorted and from 0"),
        ({"arrivals_ns": np.array([1.0])}, "int64"),
        ({"arrivals_ns": np.array([], dtype=np.int64)}, "raise the rate or the duration"),
        ({"lengths": np.ones(3, dtype=np.int32)}, r"lengths must be int32 \(200,\)"),
        ({"lengths": np.zeros(200, dtype=np.int32)}, "at least 1, got 0"),
        ({"lengths": np.ones(200, dtype=np.int64)}, "lengths must be int32"),
        ({"lengths": np.ones(200, dtype=np.int32)}, "its integers were changed"),
        ({"rate_rps": 0.0}, "rate_rps must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_what_is_no_schedule_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(a_schedule(), **changes)  # type: ignore[arg-type]
