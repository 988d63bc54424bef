"""Payloads: rows of the asked type, range and length, the same for the same seed."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.loadgen import InputSpec, LoadFileError, PayloadPool

IDS = InputSpec("input_ids", "int64", (None,), high=30522, max_length=128)
MASK = InputSpec("attention_mask", "int64", (None,), mask_of="input_ids")
PICTURE = InputSpec("x", "float32", (3, 8, 8))


def test_rows_have_no_batch_axis_and_come_round() -> None:
    pool = PayloadPool([PICTURE], size=4, seed=1)
    rows = [pool.row(index)["x"] for index in range(5)]
    assert rows[0].shape == (3, 8, 8)
    assert rows[0].dtype == np.float32
    np.testing.assert_array_equal(rows[0], rows[4])
    assert len({row.tobytes() for row in rows}) == 4


def test_rows_of_a_length_are_the_same_arrays_when_they_come_round() -> None:
    first = PAIR.row(1, 9)
    assert all(PAIR.row(1 + PAIR.size, 9)[name] is array for name, array in first.items())
    assert PAIR.row(2, 9)["input_ids"] is not first["input_ids"]
    assert PAIR.row(1, 8)["input_ids"] is not first["input_ids"]
    assert not any(array.flags.writeable for array in first.values())


def test_an_input_of_one_shape_comes_again_as_the_same_array_until_the_pool_moves() -> None:
    pool = PayloadPool([PICTURE, InputSpec("weight", "float32", (8,), mask_of="x")], size=4)
    first = pool.row(1)
    assert all(pool.row(5)[name] is array for name, array in first.items())
    pool.move(lambda array: array.copy())
    assert pool.row(1)["x"] is not first["x"]
    np.testing.assert_array_equal(pool.row(1)["x"], first["x"])


def test_floats_are_standard_normal() -> None:
    pool = PayloadPool([PICTURE])
    values = np.stack([pool.row(index)["x"] for index in range(pool.size)])
    assert values.mean() == pytest.approx(0, abs=0.03)
    assert values.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("dtype", "low", "high", "least", "most"),
    [
        ("float32", -2.0, 3.0, -2.0, 3.0),
        ("float16", 0.0, 1.0, 0.0, 1.0),
        ("float64", 5.0, 6.0, 5.0, 6.0),
        ("int64", None, 10, 0, 9),
        ("int32", -5, 5, -5, 4),
        ("uint8", None, None, 0, 255),
        ("int8", None, None, -128, 127),
        ("int8", 100, None, 100, 127),
        ("uint8", None, 256, 0, 255),
        ("uint16", 65_000, 65_536, 65_000, 65_535),
        ("bool", None, None, 0, 1),
    ],
)
def test_values_fill_their_range(dtype: str, low: float | None, high: float | None, least: float, most: float) -> None:
    many = PayloadPool([InputSpec("x", dtype, (10_000,), low=low, high=high)]).row(0)["x"]
    assert many.dtype == np.dtype(dtype)
    span = most - least
    assert least <= many.min() <= least + span * 0.05
    assert most - span * 0.05 <= many.max() <= most
    if many.dtype.kind == "f":
        assert many.max() < most


@given(st.integers(0, 1000), st.integers(1, 128))
def test_the_sequence_axis_has_exactly_the_length(index: int, length: int) -> None:
    row = PAIR.row(index, length)
    assert row["input_ids"].shape == row["attention_mask"].shape == (length,)
    assert (row["attention_mask"] == 1).all()
    np.testing.assert_array_equal(row["input_ids"], PAIR.row(index, 128)["input_ids"][:length])


PAIR = PayloadPool([IDS, MASK], seed=3)


def test_the_seed_and_the_name_decide_and_nothing_else() -> None:
    alone = PayloadPool([IDS], seed=3)
    np.testing.assert_array_equal(alone.row(7, 9)["input_ids"], PAIR.row(7, 9)["input_ids"])
    assert not np.array_equal(PayloadPool([IDS], seed=4).row(7, 99)["input_ids"], alone.row(7, 99)["input_ids"])


def test_rows_are_read_only() -> None:
    for array in PAIR.row(0, 5).values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("length", [None, 0, -1, 129])
def test_a_length_that_does_not_fit_is_refused(length: int | None) -> None:
    with pytest.raises(ValueError, match="'input_ids' needs a length from 1 to 128, got"):
        PAIR.row(0, length)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InputSpec("x", "float33", (1,)), "no dtype of NumPy"),
        (lambda: InputSpec("x", "object", (1,)), "rows of object cannot be made"),
        (lambda: InputSpec("x", "str", (1,)), "cannot be made"),
        (lambda: InputSpec("x", "float32", (0,)), "sizes must be at least 1"),
        (lambda: InputSpec("x", "float32", (None,)), "needs max_length >= 1, got None"),
        (lambda: InputSpec("x", "int64", (1,)), "say with high below which value it must stay"),
        (lambda: InputSpec("x", "int64", (1,), high=0), "low must be below high"),
        (lambda: InputSpec("x", "int64", (1,), high=1.5), "does not fit int64"),
        (lambda: InputSpec("x", "int64", (1,), high=math.inf), "does not fit int64"),
        (lambda: InputSpec("x", "int8", (1,), high=129), "high - 1 128 does not fit int8"),
        (lambda: InputSpec("x", "uint8", (1,), low=-1), "low -1 does not fit uint8"),
        (lambda: InputSpec("x", "uint8", (1,), pad=-1), "pad -1 does not fit uint8"),
        (lambda: InputSpec("x", "float32", (1,), low=0.0), "give both low and high, or none"),
        (lambda: InputSpec("x", "float32", (1,), low=1.0, high=1.0), "low must be below high"),
        (lambda: InputSpec("x", "float16", (1,), low=0.0, high=1e6), "high 1000000.0 does not fit float16"),
        (lambda: InputSpec("x", "bool", (1,), high=1), "leave low and high out"),
        (lambda: InputSpec("x", "int64", (1,), high=1, mask_of="y"), "is a mask: leave low and high out"),
        (lambda: PayloadPool([]), "needs inputs of different names"),
        (lambda: PayloadPool([IDS, IDS]), "needs inputs of different names"),
        (lambda: PayloadPool([IDS], size=0), "needs one row at least"),
        (lambda: PayloadPool([IDS], seed=-1), "seed must be"),
        (lambda: PayloadPool([MASK]), "is to mask 'input_ids', which is none of the inputs"),
        (lambda: PayloadPool([PICTURE, InputSpec("m", "bool", (None,), mask_of="x")]), "has no sequence axis"),
    ],
)
def test_impossible_inputs_are_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()


def test_rows_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    ids = np.arange(60, dtype=np.int64).reshape(3, 20)
    np.savez(path, input_ids=ids)
    pool = PayloadPool([IDS, MASK], file=path)
    assert pool.size == 3
    np.testing.assert_array_equal(pool.row(4, 6)["input_ids"], ids[1, :6])
    assert pool.row(4, 6)["attention_mask"].shape == (6,)
    with pytest.raises(ValueError, match="needs a length from 1 to 20, got 21"):
        pool.row(0, 21)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds the arrays \\[\\], the inputs without masks are \\['x'\\]"),
        ({"y": np.ones((2, 3, 8, 8), np.float32)}, "holds the arrays \\['y'\\]"),
        ({"x": np.ones((2, 3, 8, 8))}, "'x' is float64, the model takes float32: convert it"),
        ({"x": np.ones((2, 3, 8), np.float32)}, r"has shape \(2, 3, 8\), wanted \(rows >= 1, 3, 8, 8\)"),
        ({"x": np.ones((2, 3, 8, 9), np.float32)}, "has shape"),
        ({"x": np.ones((0, 3, 8, 8), np.float32)}, "has shape"),
        ({"x": np.float32(1)}, "has shape"),
        ({"x": np.full((1, 3, 8, 8), np.nan, np.float32)}, "not finite"),
        ({"x": np.array([[1, "a"]], dtype=object)}, "not an .npz of plain arrays"),
    ],
)
def test_files_are_checked(tmp_path: Path, arrays: dict[str, npt.NDArray[np.float32]], message: str) -> None:
    path = tmp_path / "rows.npz"
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    with pytest.raises(LoadFileError, match=message) as caught:
        PayloadPool([PICTURE], file=path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("value", "accepted"), [(-1, False), (0, True), (30521, True), (30522, False)])
def test_a_files_values_must_lie_in_the_range(tmp_path: Path, value: int, accepted: bool) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, input_ids=np.full((1, 4), value, dtype=np.int64))
    if accepted:
        assert PayloadPool([IDS], file=path).row(0, 4)["input_ids"].tolist() == [value] * 4
    else:
        with pytest.raises(LoadFileError, match=r"not within \[0, 30522\)"):
            PayloadPool([IDS], file=path)


def test_all_arrays_of_a_file_have_as_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, a=np.ones((2, 1), np.float32), b=np.ones((3, 1), np.float32))
    with pytest.raises(LoadFileError, match="the first axis is the pool and must be the same"):
        PayloadPool([InputSpec("a", "float32", (1,)), InputSpec("b", "float32", (1,))], file=path)
