"""What a run hands over to be reported: plain facts, checked at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Admission: TypeAlias = Literal["pull", "push", "simulated"]
Role: TypeAlias = Literal["policy", "untuned", "swept"]

_CHUNK: Final = 1 << 16


class Status(IntEnum):
    """How a query ended. Every query ends in exactly one of these ways."""

    COMPLETED = 0
    FAILED = 1
    REJECTED = 2
    CANCELLED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """One entry per offered query, in id order; times are ns from the run's anchor, -1 where it never happened.

    `late_free` is True where an executor was free between the scheduled instant and the admission: there, lateness
    is the run's own fault. None means that all lateness counts (push admission). `length` is None for a model
    without lengths. `held` is True where a bound on concurrency put the admission off; None where there is no bound.
    """

    arrival_ns: IntArray
    admitted_ns: IntArray
    done_ns: IntArray
    status: npt.NDArray[np.uint8]
    late_free: Mask | None = None
    length: npt.NDArray[np.int32] | None = None
    held: Mask | None = None

    def __post_init__(self) -> None:
        wanted = {"arrival_ns": "int64", "admitted_ns": "int64", "done_ns": "int64", "status": "uint8"}
        wanted |= {"late_free": "bool", "length": "int32", "held": "bool"}
        shape = self.arrival_ns.shape
        for name, dtype in wanted.items():
            array: npt.NDArray[np.generic] | None = getattr(self, name)
            if array is None:
                continue
            if array.dtype != dtype or array.ndim != 1 or array.shape != shape:
                raise ValueError(
                    f"queries.{name} is {array.dtype}{list(array.shape)}, wanted {dtype}{list(shape)} like arrival_ns:"
                    " hand over one entry per offered query, in id order"
                )
        if len(self) == 0:
            return
        if int(self.arrival_ns.min()) < 0:
            raise ValueError("queries.arrival_ns has a negative instant: every offered query has a scheduled arrival")
        if int(self.status.max()) > max(Status):
            raise ValueError(f"queries.status has {int(self.status.max())}, wanted 0..{max(Status)}: see Status")
        # Admission before the scheduled instant is not refused: a sender may wake a little early, and that is measured.
        wrong = self.status == Status.COMPLETED
        wrong &= (self.admitted_ns < 0) | (self.done_ns < self.admitted_ns) | (self.done_ns < self.arrival_ns)
        if wrong.any():
            query = int(wrong.argmax())
            raise ValueError(
                f"query {query} is COMPLETED with arrival {self.arrival_ns[query]}, admitted {self.admitted_ns[query]},"
                f" done {self.done_ns[query]} ns, wanted arrival <= done and 0 <= admitted <= done: check the clock"
            )

    def __len__(self) -> int:
        return len(self.arrival_ns)

    def count(self, status: Status) -> int:
        return int(np.count_nonzero(self.status == status))

    def response_ns(self) -> IntArray:
        """done - scheduled of the completed queries, in id order."""
        return _difference(self.done_ns, self.arrival_ns, self.status == Status.COMPLETED)

    def service_ns(self) -> IntArray:
        """done - admitted of the completed queries, in id order."""
        return _difference(self.done_ns, self.admitted_ns, self.status == Status.COMPLETED)

    def lateness_ns(self) -> IntArray:
        """admitted - scheduled of the admitted queries, in id order."""
        return _difference(self.admitted_ns, self.arrival_ns, self.admitted_ns >= 0)

    def response_by_id_ns(self) -> IntArray:
        """int64[n]: the response of each offered query, -1 where it did not complete; what `compare` takes."""
        return np.where(self.status == Status.COMPLETED, self.done_ns - self.arrival_ns, np.int64(-1))


@dataclass(frozen=True, slots=True)
class StageUse:
    """What one stage was given: `batch_histogram` maps rows a launch carried to how many launches carried them.

    `rows_useful` over `rows_computed` is what padding (to a batch size or a length) left of the work; both in
    rows of the stage's largest shape or any other unit they share.
    """

    index: int
    batch_histogram: Mapping[int, int]
    rows_useful: float
    rows_computed: float

    def __post_init__(self) -> None:
        if any(rows < 1 or launches < 1 for rows, launches in self.batch_histogram.items()):
            raise ValueError(
                f"stage {self.index}: batch_histogram is {dict(self.batch_histogram)}, wanted rows >= 1 mapped to"
                " launches >= 1: leave out what never ran"
            )
        if not 0 <= self.rows_useful <= self.rows_computed < float("inf"):
            raise ValueError(
                f"stage {self.index}: {self.rows_useful} useful rows of {self.rows_computed} computed, wanted"
                " 0 <= useful <= computed: padding adds rows, it never removes them"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Everything that `summarise` needs of one run of one policy under one schedule."""

    policy: Mapping[str, object]  # resolved options, "scheduler_type" among them, perhaps "name"
    load: Mapping[str, object]  # process, request_rate_rps, utilization, seed, schedule_sha256, duration_s
    queries: Queries
    stages: tuple[StageUse, ...]
    operations: Mapping[str, int]  # new, stretch, merge, split, hold
    decision_ns: IntArray | None
    device_busy_fraction: float | None
    bytes_copied: int
    admission: Admission
    slo_ms: float | None
    slo_quantile: float | None
    rows_whole: int | None = None  # answers that went through all stages in one launch; None if not known
    error_limit: float = 0.0  # largest share of offered queries that may fail
    lost_ns: int | None = (
        None  # since when nothing could run any more: what was refused then says nothing of the policy
    )
    role: Role = "policy"

    def __post_init__(self) -> None:
        if "scheduler_type" not in self.policy:
            raise ValueError(f"policy has {sorted(self.policy)}, wanted scheduler_type among them")
        missing = {"process", "request_rate_rps", "utilization", "seed", "schedule_sha256", "duration_s"} - set(
            self.load
        )
        if missing:
            raise ValueError(f"load has {sorted(self.load)}, wanted {sorted(missing)} too (utilization may be None)")
        if self.admission not in get_args(Admission):
            raise ValueError(f"admission is {self.admission!r}, wanted one of {get_args(Admission)}")
        if self.role not in get_args(Role):
            raise ValueError(f"role is {self.role!r}, wanted one of {get_args(Role)}")
        if self.slo_ms is not None and not self.slo_ms > 0:
            raise ValueError(f"slo_ms is {self.slo_ms}, wanted more than 0 ms, or None for no objective")
        if self.slo_quantile is not None and not 0 < self.slo_quantile <= 1:
            raise ValueError(f"slo_quantile is {self.slo_quantile}, wanted a share in (0, 1], for example 0.99")
        if not 0 <= self.error_limit <= 1:
            raise ValueError(f"error_limit is {self.error_limit}, wanted a share of the offered queries in [0, 1]")
        if self.device_busy_fraction is not None and not 0 <= self.device_busy_fraction < float("inf"):
            raise ValueError(f"device_busy_fraction is {self.device_busy_fraction}, wanted a share >= 0, or None")


def _difference(after: IntArray, before: IntArray, where: Mask) -> IntArray:
    """after - before of the chosen entries, through chunks: a million queries allocate their result and no more."""
    result = np.empty(int(np.count_nonzero(where)), np.int64)
    filled = 0
    for begin in range(0, len(where), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        chosen = (after[part] - before[part])[where[part]]
        result[filled : filled + len(chosen)] = chosen
        filled += len(chosen)
    return result
