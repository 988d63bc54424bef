"""Padding: what a shorter query does not fill is the pad, and its answer is cut to its length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.runtime.padding import PayloadError, check_inputs, cut_answer, fill_row
from engines.base import TensorSpec

WANTED = (TensorSpec("ids", "int64", ("N", "S")), TensorSpec("image", "float32", ("N", 3, 4)))


@given(room=st.tuples(st.integers(1, 6), st.integers(1, 6)), have=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_a_row_holds_the_value_and_the_pad(room: tuple[int, int], have: tuple[int, int]) -> None:
    row = np.full(room, np.nan, np.float32)
    value = np.arange(have[0] * have[1], dtype=np.float32).reshape(have)
    if have[0] > room[0] or have[1] > room[1]:
        with pytest.raises(PayloadError, match="the row takes up to"):
            fill_row(row, value, -1, "x")
        return
    fill_row(row, value, -1, "x")
    inside = np.zeros(room, bool)
    inside[: have[0], : have[1]] = True
    assert (row[inside] == value.ravel()).all()
    assert (row[~inside] == -1).all()


@pytest.mark.parametrize("value", [np.zeros(4, np.float64), np.zeros((4, 1), np.float32)])
def test_another_type_or_rank_is_refused(value: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    with pytest.raises(PayloadError, match="wanted float32 of 1 dimensions"):
        fill_row(np.zeros(4, np.float32), value, 0, "x")


def test_an_answer_is_cut_along_its_free_axes() -> None:
    answer = np.arange(24).reshape(4, 6)
    assert cut_answer(answer, (), 2) is answer
    assert cut_answer(answer, (0,), None) is answer
    assert cut_answer(answer, (0,), 2).shape == (2, 6)
    assert cut_answer(answer, (0, 1), 3).tolist() == answer[:3, :3].tolist()


def test_inputs_that_fit_pass() -> None:
    check_inputs({"ids": np.zeros(5, np.int64), "image": np.zeros((3, 4), np.float32)}, WANTED, 5)
    check_inputs({"ids": np.zeros(1, np.int64), "image": np.zeros((3, 4), np.float32)}, WANTED, None)


@pytest.mark.parametrize(
    ("ids", "image"),
    [
        (np.zeros(4, np.int64), np.zeros((3, 4), np.float32)),
        (np.zeros(5, np.int32), np.zeros((3, 4), np.float32)),
        (np.zeros(5, np.int64), np.zeros((3, 3), np.float32)),
        (np.zeros(5, np.int64), np.zeros((1, 3, 4), np.float32)),
    ],
)
def test_inputs_that_do_not_fit_are_refused(ids: object, image: object) -> None:
    with pytest.raises(PayloadError, match="wanted"):
        check_inputs({"ids": np.asarray(ids), "image": np.asarray(image)}, WANTED, 5)


@pytest.mark.parametrize("names", [("ids",), ("ids", "image", "more"), ("ids", "picture")])
def test_inputs_are_the_models_own(names: tuple[str, ...]) -> None:
    with pytest.raises(PayloadError, match="wanted exactly"):
        check_inputs({name: np.zeros(5, np.int64) for name in names}, WANTED, 5)
