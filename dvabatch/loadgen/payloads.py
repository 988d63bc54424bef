"""What the requests carry: a seeded pool of rows for each input of a model."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dvabatch.loadgen.errors import LoadFileError
from dvabatch.loadgen.npz import read_npz
from dvabatch.loadgen.streams import Stream, generator

Array = npt.NDArray[Any]
POOL_ROWS: Final = 64  # of a pool, where nobody asks for another number


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model and what to fill it with.

    `dtype` is NumPy's name; `shape` leaves the batch axis out and has None where the sequence runs, up to `max_length`.
    Floats are standard normal, or uniform in [`low`, `high`) if both are given. Whole numbers are uniform in [`low`,
    `high`), `low` being 0 if left out; 8-bit ones take all their values if both are. `mask_of` names the input over whose
    length this one is 1. `pad` is what a batch fills short rows up with: rows come unpadded, so it is only carried here.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    low: float | None = None
    high: float | None = None
    pad: float = 0
    mask_of: str | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        dtype = _dtype(self.name, self.dtype)
        if any(size is not None and size < 1 for size in self.shape):
            raise ValueError(f"input {self.name!r}: sizes must be at least 1, got {self.shape}")
        if None in self.shape and self.mask_of is None and (self.max_length is None or self.max_length < 1):
            raise ValueError(
                f"input {self.name!r} has a sequence axis and needs max_length >= 1, got {self.max_length}"
            )
        if self.mask_of is not None and (self.low is not None or self.high is not None):
            raise ValueError(f"input {self.name!r} is a mask: leave low and high out, got {self.low} and {self.high}")
        _check_fits(self.name, "pad", self.pad, dtype)
        if self.mask_of is None:
            self._check_range(dtype)

    def _check_range(self, dtype: np.dtype[Any]) -> None:
        low, high = self.low, self.high
        if dtype.kind == "b" and (low is not None or high is not None):
            raise ValueError(f"input {self.name!r} is bool: leave low and high out, got {low} and {high}")
        if dtype.kind == "f" and (low is None) != (high is None):
            raise ValueError(f"input {self.name!r}: give both low and high, or none, got {low} and {high}")
        if dtype.kind in "iu" and dtype.itemsize > 1 and high is None:
            raise ValueError(f"input {self.name!r} is {self.dtype}: say with high below which value it must stay")
        if low is not None:
            _check_fits(self.name, "low", low, dtype)
        if high is not None:
            _check_fits(self.name, "high - 1" if dtype.kind in "iu" else "high", high - (dtype.kind in "iu"), dtype)
            if not (low or 0) < high:
                raise ValueError(f"input {self.name!r}: low must be below high, got {low or 0} and {high}")


class PayloadPool:
    """`size` rows for each input, made once and given out by index, over and over.

    With `file`, an .npz whose arrays are named as the inputs, the rows are read from it: the first axis is the pool, and
    `size` is its. Masks are made in either case.
    """

    def __init__(
        self, inputs: Sequence[InputSpec], size: int = POOL_ROWS, seed: int = 0, *, file: Path | None = None
    ) -> None:
        self._inputs = {spec.name: spec for spec in inputs}
        if not inputs or len(self._inputs) != len(inputs):
            raise ValueError(f"a pool needs inputs of different names, got {[spec.name for spec in inputs]}")
        if size < 1:
            raise ValueError(f"a pool needs one row at least, got size {size}")
        self._check_masks()
        drawn = [spec for spec in inputs if spec.mask_of is None]
        if file is None:
            self._pool: Mapping[str, Array] = {spec.name: _draw(spec, size, seed) for spec in drawn}
        else:
            self._pool = _read(file, drawn)
        self.size = len(next(iter(self._pool.values())))
        for array in self._pool.values():
            array.setflags(write=False)
        # Given out so far: arrays by input, place in the pool and length, and whole payloads by length and place.
        self._rows: dict[tuple[str, int, int | None], Array] = {}
        self._given: dict[int | None, list[Mapping[str, Array] | None]] = {}

    def row(self, index: int, length: int | None = None) -> Mapping[str, Array]:
        """The inputs of request `index` without batch axis, read-only; sequence axes have exactly `length`.

        The same mapping of the same arrays comes each time that their turn comes again, at the same length, and never changes:
        who takes it may know it again.
        """
        given = self._given.get(length)
        if given is None:
            given = self._given[length] = [None] * self.size
        row = given[index % self.size]
        if row is None:
            arrays = {name: self._one(spec, index, length) for name, spec in self._inputs.items()}
            row = given[index % self.size] = MappingProxyType(arrays)
        return row

    def move(self, place: Callable[[Array], Array]) -> None:
        """Lays the pool elsewhere: `place` gives a copy of an array, in memory of its choice."""
        moved = {name: place(array) for name, array in self._pool.items()}
        for array in moved.values():
            array.setflags(write=False)
        self._pool = moved
        self._rows.clear()
        self._given.clear()

    def _one(self, spec: InputSpec, index: int, length: int | None) -> Array:
        if None not in spec.shape:
            length = None
        else:
            source = self._inputs[spec.mask_of or spec.name]
            longest = self._pool[source.name].shape[1 + source.shape.index(None)]
            if length is None or not 1 <= length <= longest:
                raise ValueError(f"input {spec.name!r} needs a length from 1 to {longest}, got {length}")
        key = spec.name, 0 if spec.mask_of is not None else index % self.size, length
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._cut(spec, index, length)
        return row

    def _cut(self, spec: InputSpec, index: int, length: int | None) -> Array:
        if spec.mask_of is not None:
            ones = np.ones(_sizes(spec, length), dtype=spec.dtype)
            ones.setflags(write=False)
            return ones
        row: Array = self._pool[spec.name][index % self.size]
        return row[tuple(slice(length if size is None else None) for size in spec.shape)]

    def _check_masks(self) -> None:
        for spec in self._inputs.values():
            if spec.mask_of is None:
                continue
            source = self._inputs.get(spec.mask_of)
            if source is None or source.mask_of is not None:
                known = [other.name for other in self._inputs.values() if other.mask_of is None]
                raise ValueError(
                    f"input {spec.name!r} is to mask {spec.mask_of!r}, which is none of the inputs {known}"
                )
            if None in spec.shape and None not in source.shape:
                raise ValueError(f"input {spec.name!r} is to mask {spec.mask_of!r}, which has no sequence axis")


def _draw(spec: InputSpec, size: int, seed: int) -> Array:
    # By name, so that one input more leaves the others' rows as they were.
    rng = generator(seed, Stream.PAYLOADS, zlib.crc32(spec.name.encode()))
    shape = (size, *_sizes(spec, spec.max_length))
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        if spec.low is None or spec.high is None:
            return rng.standard_normal(shape, dtype=np.float32).astype(dtype, copy=False)
        values: Array = (spec.low + rng.random(shape) * (spec.high - spec.low)).astype(dtype)
        # Rounding to a narrower type may reach the end that is left out.
        values[values >= spec.high] = np.nextafter(dtype.type(spec.high), dtype.type(spec.low))
        return values
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if spec.high is None:
        low, high = np.iinfo(dtype).min if spec.low is None else int(spec.low), np.iinfo(dtype).max + 1
    else:
        low, high = int(spec.low or 0), int(spec.high)
    return rng.integers(low, high, shape, dtype=dtype)


def _sizes(spec: InputSpec, length: int | None) -> tuple[int, ...]:
    """The shape with `length` for the sequence axis; the callers have checked that it is there where it is needed."""
    return tuple((length or 0) if size is None else size for size in spec.shape)


def _read(file: Path, specs: Sequence[InputSpec]) -> dict[str, Array]:
    found = read_npz(file)
    wanted = [spec.name for spec in specs]
    if sorted(found) != sorted(wanted):
        raise LoadFileError(f"{file}: holds the arrays {sorted(found)}, the inputs without masks are {sorted(wanted)}")
    for spec in specs:
        _check_read(file, spec, found[spec.name])
    counts = {name: len(array) for name, array in found.items()}
    if len(set(counts.values())) > 1:
        raise LoadFileError(f"{file}: the first axis is the pool and must be the same in all arrays, got {counts}")
    return found


def _check_read(file: Path, spec: InputSpec, array: Array) -> None:
    if array.dtype != np.dtype(spec.dtype):
        raise LoadFileError(f"{file}: {spec.name!r} is {array.dtype}, the model takes {spec.dtype}: convert it")
    sizes = array.shape[1:]
    fits = len(sizes) == len(spec.shape) and all(
        got == want if want is not None else 1 <= got <= (spec.max_length or 0)
        for got, want in zip(sizes, spec.shape, strict=True)
    )
    if not fits or array.shape[:1] in {(), (0,)}:
        want = ["rows >= 1", *(f"1..{spec.max_length}" if size is None else str(size) for size in spec.shape)]
        raise LoadFileError(f"{file}: {spec.name!r} has shape {array.shape}, wanted ({', '.join(want)})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise LoadFileError(f"{file}: {spec.name!r} holds values that are not finite")
    low, high = spec.low, spec.high
    if low is None and high is not None:
        low = 0  # as drawn
    if (low is not None and array.min() < low) or (high is not None and array.max() >= high):
        raise LoadFileError(f"{file}: {spec.name!r} holds {array.min()} to {array.max()}, not within [{low}, {high})")


def _dtype(name: str, text: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(text)
    except TypeError as error:
        raise ValueError(f"input {name!r}: {text!r} is no dtype of NumPy: give float32, int64, ...") from error
    if dtype.kind not in "fiub":
        raise ValueError(f"input {name!r}: rows of {text} cannot be made: give floats, whole numbers or bool")
    return dtype


def _check_fits(name: str, what: str, value: float, dtype: np.dtype[Any]) -> None:
    fits: bool
    if not math.isfinite(value):
        fits = False
    elif dtype.kind == "f":
        fits = abs(value) <= float(np.finfo(dtype).max)
    elif dtype.kind == "b":
        fits = value in {0, 1}
    else:
        bounds = np.iinfo(dtype)
        fits = value == int(value) and bounds.min <= value <= bounds.max
    if not fits:
        raise ValueError(f"input {name!r}: {what} {value} does not fit {dtype}")
