"""A schedule: every arrival of a run, known and hashed before it starts, so that each policy meets the same one."""

import hashlib
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dvabatch.loadgen.extent import MAX_NS, NS_PER_S, Nanoseconds, check_positive
from dvabatch.loadgen.lengths import LengthDistribution, Lengths
from dvabatch.loadgen.processes import Process
from dvabatch.loadgen.streams import Stream, check_seed, generator

_Integer = TypeVar("_Integer", bound=np.signedinteger)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Scheduled arrivals and, for models with lengths, the length of each request.

    `arrivals_ns`: sorted int64 nanoseconds from the run's anchor, read-only. `lengths`: int32, as many, or None.
    `sha256`: over those integers alone. `process`, `rate_rps` (the mean rate that was asked for) and `seed` say where
    they came from.
    """

    arrivals_ns: Nanoseconds = field(compare=False)  # `sha256` compares them
    lengths: Lengths | None = field(compare=False)
    sha256: str
    process: str
    rate_rps: float
    seed: int

    def __post_init__(self) -> None:
        arrivals, lengths = self.arrivals_ns, self.lengths
        if arrivals.dtype != np.int64 or arrivals.ndim != 1 or not len(arrivals):
            raise ValueError(
                f"arrivals_ns must be one row of int64 with one arrival at least, got {arrivals.dtype} {arrivals.shape}: "
                "if it is empty, raise the rate or the duration"
            )
        if arrivals[0] < 0 or arrivals[-1] > MAX_NS or (arrivals[1:] < arrivals[:-1]).any():
            raise ValueError(f"arrivals_ns must be sorted and from 0 to {MAX_NS}")
        if lengths is not None:
            if lengths.dtype != np.int32 or lengths.shape != arrivals.shape:
                raise ValueError(f"lengths must be int32 {arrivals.shape}, got {lengths.dtype} {lengths.shape}")
            if lengths.min() < 1:
                raise ValueError(f"lengths must be at least 1, got {lengths.min()}")
        check_positive("rate_rps", self.rate_rps)
        check_seed(self.seed)
        if not isinstance(self.process, str):
            raise ValueError(f"process must be the name of one, got {self.process!r}")
        if self.sha256 != (digest := _digest(arrivals, lengths)):
            raise ValueError(f"the schedule's sha256 is {digest}, not {self.sha256}: its integers were changed")
        object.__setattr__(self, "arrivals_ns", _frozen(arrivals))
        if lengths is not None:
            object.__setattr__(self, "lengths", _frozen(lengths))

    def __len__(self) -> int:
        return len(self.arrivals_ns)

    @property
    def duration_s(self) -> float:
        """From the anchor to the last arrival."""
        return int(self.arrivals_ns[-1]) / NS_PER_S


def make_schedule(
    process: Process,
    lengths: LengthDistribution | None = None,
    *,
    num_requests: int | None,
    max_duration_s: float | None,
    seed: int,
) -> Schedule:
    """The schedule of `process` up to the first of both bounds (None does not bound), with lengths if wanted.

    A process that ends by itself may end before both. Arrivals and lengths come from independent streams of `seed`.
    """
    arrivals_ns = process.arrivals_ns(num_requests, max_duration_s, seed)
    sampled = None if lengths is None else lengths.sample(len(arrivals_ns), generator(seed, Stream.LENGTHS))
    return Schedule(
        arrivals_ns=arrivals_ns,
        lengths=sampled,
        sha256=_digest(arrivals_ns, sampled),
        process=process.name,
        rate_rps=process.mean_rate_rps,
        seed=seed,
    )


def _digest(arrivals_ns: Nanoseconds, lengths: Lengths | None) -> str:
    """SHA-256 over the integers, little-endian on every machine; the header tells apart what would read the same."""
    hashed = hashlib.sha256(f"{len(arrivals_ns)} {lengths is not None}\n".encode())
    hashed.update(np.ascontiguousarray(arrivals_ns, dtype="<i8").tobytes())
    if lengths is not None:
        hashed.update(np.ascontiguousarray(lengths, dtype="<i4").tobytes())
    return hashed.hexdigest()


def _frozen(values: npt.NDArray[_Integer]) -> npt.NDArray[_Integer]:
    """A copy that nobody else holds and nobody can write to."""
    copy: npt.NDArray[_Integer] = values.copy()
    copy.setflags(write=False)
    return copy
