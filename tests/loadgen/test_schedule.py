"""A schedule is a fact: reproducible, hashed, unchangeable, and refused when its file was touched."""

import hashlib
import json
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.loadgen import LoadFileError, Schedule, make_schedule
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


@pytest.mark.parametrize("with_lengths", [True, False])
def test_saved_and_loaded_it_is_the_same(tmp_path: Path, with_lengths: bool) -> None:
    lengths = UniformLength(1, 9) if with_lengths else None
    schedule = make_schedule(Poisson(1 / 3), lengths, num_requests=50, max_duration_s=None, seed=2**70)
    path = schedule.save(tmp_path / "load")
    assert [entry.name for entry in tmp_path.iterdir()] == ["load"]
    loaded = Schedule.load(path)
    assert loaded == schedule
    np.testing.assert_array_equal(loaded.arrivals_ns, schedule.arrivals_ns)
    assert (loaded.lengths is None) != with_lengths
    assert schedule.save(tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = a_schedule().save(tmp_path / "load.npz")
    with np.load(path) as arrays:
        held = dict(arrays)
    held["arrivals_ns"][0] += 1
    with path.open("wb") as file:
        np.savez(file, **held)
    with pytest.raises(LoadFileError, match=r"load\.npz: .*its integers were changed"):
        Schedule.load(path)


def test_a_missing_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "load.npz"
    np.savez(path, arrivals_ns=np.array([1]))
    with pytest.raises(LoadFileError, match=r"load\.npz: not a schedule: it holds no 'about'"):
        Schedule.load(path)


@pytest.mark.parametrize("about", ["[]", "{", '{"format": 2}', "[" * 100_000, '{"format": 1, "sha256": 1}'])
def test_a_strange_description_is_refused(tmp_path: Path, about: str) -> None:
    path = tmp_path / "load.npz"
    np.savez(path, arrivals_ns=np.array([1]), about=np.array(about))
    with pytest.raises(LoadFileError, match=r"load\.npz"):
        Schedule.load(path)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "load.npz"
    np.savez(path, arrivals_ns=np.array([{"a": 1}], dtype=object), about=np.array(json.dumps({})))
    with pytest.raises(LoadFileError, match=r"not an \.npz of plain arrays"):
        Schedule.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text", b"\x93NUMPY"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "load.npz"
    path.write_bytes(content)
    with pytest.raises(LoadFileError, match=r"load\.npz"):
        Schedule.load(path)


def test_a_single_array_or_no_file_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.arange(3))
    for name in ["one.npy", "none.npz"]:
        with pytest.raises(LoadFileError, match=name):
            Schedule.load(tmp_path / name)


def test_an_impossible_size_in_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "load.npz"
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1152921504606846975,), }"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arrivals_ns.npy", array)
    with pytest.raises(LoadFileError, match=r"load\.npz: not an \.npz of plain arrays"):
        Schedule.load(path)
