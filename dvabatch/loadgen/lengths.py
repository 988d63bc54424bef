"""Sequence lengths of the requests: seeded samples, and the share of each lane worked out exactly."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dvabatch.loadgen.extent import check_not_negative, check_positive

Lengths = npt.NDArray[np.int32]

MAX_LENGTH = 2**31 - 1


class LengthDistribution(Protocol):
    """Where lengths come from; all are whole and at least 1."""

    @property
    def longest(self) -> int:
        """No length is longer."""

    def sample(self, count: int, rng: np.random.Generator) -> Lengths:
        """`count` lengths, int32."""

    def probability_up_to(self, length: int) -> float:
        """The probability of at most `length`."""


def share_per_lane(distribution: LengthDistribution, buckets: Iterable[int]) -> dict[int, float]:
    """The share of requests whose smallest fitting bucket is each one, by bucket in ascending order.

    They sum to less than 1 if some lengths fit no bucket.
    """
    bounds = sorted(set(buckets))
    for bound in bounds:
        _check_length("a bucket", bound)
    if not bounds:
        raise ValueError("share_per_lane needs one bucket at least, got none")
    below = [0.0, *(distribution.probability_up_to(bound) for bound in bounds)]
    return {bound: below[i + 1] - below[i] for i, bound in enumerate(bounds)}


@dataclass(frozen=True, slots=True)
class ConstantLength:
    """Every request has `value`."""

    value: int

    def __post_init__(self) -> None:
        _check_length("value", self.value)

    @property
    def longest(self) -> int:
        return self.value

    def sample(self, count: int, rng: np.random.Generator) -> Lengths:
        return np.full(count, self.value, dtype=np.int32)

    def probability_up_to(self, length: int) -> float:
        return float(length >= self.value)


@dataclass(frozen=True, slots=True)
class UniformLength:
    """Every length from `low` to `high`, both included, is as likely as any other."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _check_length("low", self.low)
        _check_length("high", self.high)
        if self.low > self.high:
            raise ValueError(f"low must not exceed high, got {self.low} and {self.high}: swap them")

    @property
    def longest(self) -> int:
        return self.high

    def sample(self, count: int, rng: np.random.Generator) -> Lengths:
        return rng.integers(self.low, self.high, count, dtype=np.int32, endpoint=True)

    def probability_up_to(self, length: int) -> float:
        return min(max(length - self.low + 1, 0) / (self.high - self.low + 1), 1.0)


@dataclass(frozen=True, slots=True)
class LognormalLength:
    """Lognormal, rounded, from 1 to `max`; what is longer is cut to `max`, as a tokenizer truncates.

    `sigma` is the standard deviation of the logarithm.
    """

    median: float
    sigma: float
    max: int

    def __post_init__(self) -> None:
        check_positive("median", self.median)
        check_not_negative("sigma", self.sigma)
        _check_length("max", self.max)
        if self.median > self.max:
            raise ValueError(f"median must not exceed max, got {self.median} and {self.max}")

    @property
    def longest(self) -> int:
        return self.max

    def sample(self, count: int, rng: np.random.Generator) -> Lengths:
        # Clipped as a logarithm, so that no sigma overflows.
        logs = np.minimum(math.log(self.median) + self.sigma * rng.standard_normal(count), math.log(self.max))
        return np.clip(np.rint(np.exp(logs)), 1, self.max).astype(np.int32)

    def probability_up_to(self, length: int) -> float:
        if length < 1:
            return 0.0
        if length >= self.max:
            return 1.0
        edge = math.log((length + 0.5) / self.median)  # where rounding parts `length` from the next
        if self.sigma == 0:
            return float(np.rint(self.median) <= length)
        return 0.5 * math.erfc(-edge / (self.sigma * math.sqrt(2)))


@dataclass(frozen=True, slots=True)
class HistogramLength:
    """Each length with its weight; the weights need not sum to 1."""

    weights: Mapping[int, float]

    def __post_init__(self) -> None:
        for length, weight in self.weights.items():
            _check_length("a length of the histogram", length)
            check_not_negative(f"the weight of length {length}", weight)
        if not any(self.weights.values()):
            raise ValueError(f"a histogram needs a weight above 0, got {dict(self.weights)}")
        object.__setattr__(self, "weights", MappingProxyType(dict(sorted(self.weights.items()))))

    @property
    def longest(self) -> int:
        return max(length for length, weight in self.weights.items() if weight > 0)

    def sample(self, count: int, rng: np.random.Generator) -> Lengths:
        weights = np.array(list(self.weights.values()), dtype=np.float64)
        # The largest first out of the way, so that a sum cannot overflow.
        shares = weights / weights.max()
        shares /= shares.sum()
        return rng.choice(np.array(list(self.weights), dtype=np.int32), size=count, p=shares)

    def probability_up_to(self, length: int) -> float:
        scale = max(self.weights.values())
        up_to = sum(weight / scale for known, weight in self.weights.items() if known <= length)
        return up_to / sum(weight / scale for weight in self.weights.values())


@dataclass(frozen=True, slots=True, eq=False)
class RecordedLengths:
    """The lengths of a replayed record, in its order; the generator is not used."""

    values: Lengths

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu":
            raise ValueError(f"recorded lengths must be whole numbers in one row, got {values.dtype} {values.shape}")
        if values.min() < 1 or values.max() > MAX_LENGTH:
            raise ValueError(f"recorded lengths must be 1 to {MAX_LENGTH}, got {values.min()} to {values.max()}")
        values = values.astype(np.int32)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def longest(self) -> int:
        return int(self.values.max())

    def sample(self, count: int, rng: np.random.Generator) -> Lengths:
        if count > len(self.values):
            raise ValueError(f"{count} lengths are asked of a record of {len(self.values)}: lower num_requests")
        return self.values[:count]

    def probability_up_to(self, length: int) -> float:
        return float(np.mean(self.values <= length))


def _check_length(what: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LENGTH:
        raise ValueError(f"{what} must be a whole number from 1 to {MAX_LENGTH}, got {value!r}")
