"""What the machine has to work with."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Stages, lanes, rows and executors.

    `lanes` holds the longest length of each lane, rising; (None,) is the one lane of a model without lengths.
    `max_batch` is the engine's maximum and the rows of a buffer set; the maximum itself is allowed. With `drop_late` a query
    is rejected as soon as its deadline is nearer than the profile's time for it alone.
    """

    stages: int
    max_batch: int
    buffer_sets: int = 8
    executors_per_stage: int = 4
    lanes: tuple[int | None, ...] = (None,)
    max_queue: int | None = None
    drop_late: bool = field(
        default=False, repr=False
    )  # what is kept by the repr, AUTO's settings, does not depend on it

    def __post_init__(self) -> None:
        for name in ("stages", "max_batch", "buffer_sets", "executors_per_stage"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.max_queue is not None and self.max_queue < 1:
            raise ValueError(f"max_queue is {self.max_queue}; it must be 1 or more, or None for no bound")
        lengths = [length for length in self.lanes if length is not None]
        if (
            not self.lanes
            or (len(lengths) < len(self.lanes) and len(self.lanes) > 1)
            or lengths != sorted(set(lengths))
        ):
            raise ValueError(f"lanes are {self.lanes}; wanted rising lengths, or (None,) for a model without lengths")

    @property
    def last_stage(self) -> int:
        return self.stages - 1

    def lane_of(self, length: int | None) -> int | None:
        """The lane of the smallest bucket that takes this length; None if the length is missing or past the largest."""
        if self.lanes == (None,):
            return 0
        if length is None:
            return None
        lane = bisect_left(self.lanes, length)  # type: ignore[type-var]  # lengths, as checked at birth
        return lane if lane < len(self.lanes) else None
