"""Fits a query's own arrays into its row, and takes its answer out again: rows are as long as their lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engines.base import Array, TensorSpec


class PayloadError(ValueError):
    """A query's inputs do not fit the model."""


def fill_row(row: Array, value: Array, pad: float, name: str) -> None:
    """Copies `value` to the front of `row` and fills the rest with `pad`.

    Raises:
        PayloadError: the value is larger than the row, or of another type or rank.
    """
    if value.dtype != row.dtype or value.ndim != row.ndim:
        raise PayloadError(
            f"input {name!r} is {value.dtype}{list(value.shape)}, wanted {row.dtype} of {row.ndim} dimensions without the batch"
        )
    if value.shape == row.shape:
        np.copyto(row, value)
        return
    if any(have > room for have, room in zip(value.shape, row.shape, strict=True)):
        raise PayloadError(f"input {name!r} has shape {list(value.shape)}, the row takes up to {list(row.shape)}")
    row[...] = pad
    row[tuple(slice(0, have) for have in value.shape)] = value


def narrowed(value: Array, dtype: np.dtype[np.generic], name: str) -> Array:
    """Whole numbers as a device holds them that has no wider ones; anything else as it is.

    Raises:
        PayloadError: a number does not fit.
    """
    if value.dtype == dtype or value.dtype.kind != "i" or dtype.kind != "i":
        return value
    narrow = value.astype(dtype)
    if (narrow != value).any():
        raise PayloadError(f"input {name!r} holds {value.max()} or {value.min()}, the device takes {dtype} only")
    return narrow


def cut_answer(answer: Array, free_axes: tuple[int, ...], length: int | None) -> Array:
    """The part of an answer's row that belongs to the query: its free axes (without the batch) cut to its length."""
    if length is None or not free_axes:
        return answer
    cut: list[slice] = [slice(None)] * answer.ndim
    for axis in free_axes:
        cut[axis] = slice(0, length)
    return answer[tuple(cut)]


def check_inputs(inputs: Mapping[str, Array], wanted: Sequence[TensorSpec], length: int | None) -> None:
    """One query's inputs, without the batch axis: every free dimension is as long as the query (1 without a length).

    Raises:
        PayloadError: an input is missing or unknown, or has another type or shape.
    """
    names = sorted(tensor.name for tensor in wanted)
    if sorted(inputs) != names:
        raise PayloadError(f"inputs {sorted(inputs)} came, wanted exactly {names}")
    for tensor in wanted:
        value = inputs[tensor.name]
        shape = tuple((length or 1) if isinstance(dim, str) else dim for dim in tensor.shape[1:])
        if value.dtype != tensor.dtype or value.shape != shape:
            raise PayloadError(
                f"input {tensor.name!r} is {value.dtype}{list(value.shape)}, wanted {tensor.dtype}{list(shape)}: "
                "one row without the batch axis, as long as the query's length where the model leaves it free"
            )
