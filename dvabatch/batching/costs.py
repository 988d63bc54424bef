"""Costs: what a launch takes besides its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from dvabatch.batching.errors import ProfileError

# A latency table's keys, in microseconds, and the costs that they hold.
COSTS_US: Final[Mapping[str, str]] = {
    "launch_us": "launch_ns",
    "boundary_us": "boundary_ns",
    "copy_us_per_row": "copy_ns_per_row",
    "transfer_us_per_row": "transfer_ns_per_row",
    "wake_us": "wake_ns",
    "bounce_us": "bounce_ns",
    "bounce_us_per_row": "bounce_ns_per_row",
    "launch_busy_us": "launch_busy_ns",
    "launch_busy_us_per_row": "launch_busy_ns_per_row",
    "boundary_busy_us": "boundary_busy_ns",
    "queueing_us": "queueing_ns",
    "first_queueing_us": "first_queueing_ns",
}
_NS_PER_US: Final = 1000
# In a table they stand whatever they are, or if they are known, or both if either is any.
_ALWAYS: Final = ("launch_us", "boundary_us", "copy_us_per_row")
_OF_THREAD: Final = ("launch_busy_us", "launch_busy_us_per_row", "boundary_busy_us", "queueing_us", "first_queueing_us")
_BOUNCES: Final = ("bounce_us", "bounce_us_per_row")


@dataclass(frozen=True, slots=True)
class Costs:
    """What lies between stages."""

    launch_ns: int = 0  # handing a fresh batch to the device and hearing that it ended
    boundary_ns: int = 0  # from a stage's end to the next launch of the same batch, host included
    copy_ns_per_row: int = 0  # moving one row between buffer sets
    transfer_ns_per_row: int = 0  # bringing one row of a fresh batch to the device, and its answer back
    # What it adds to a launch that what it goes to was at rest before it: a part of the device, or the one thread, which rests
    # whenever it neither launches nor has just heard of an end, whatever is in flight.
    wake_ns: int = 0
    one_host: bool = False  # one thread does the host's part of all launches, and one line has all transfers
    bounce_ns: int = (
        0  # what it adds to a launch that its batch does not begin its buffer set, and goes by way of other rows
    )
    bounce_ns_per_row: int = 0
    cores: int = 0  # launches that run at a time, a core each, while others wait in turn; 0: they share the device
    # Of a launch and of a boundary, what keeps the one thread busy: the rest is the device's and the line's to answer, and
    # other launches go on meanwhile. None: all of it.
    launch_busy_ns: int | None = None
    boundary_busy_ns: int | None = None
    # By how much longer each further row of a fresh batch keeps it. None: not at all, as far as anybody knows.
    launch_busy_ns_per_row: int | None = None
    # For how long queueing the launch of one row kept the thread while all this was measured: of the whole model, and of its
    # first stage alone. By it a run tells its host's pace. None: nobody knows.
    queueing_ns: int | None = None
    first_queueing_ns: int | None = None

    def __post_init__(self) -> None:
        """One thread launches for all, or launches have a core each.

        Raises:
            ProfileError: both came.
        """
        if self.one_host and self.cores:
            raise ProfileError(f"one_host and cores ({self.cores}) came, wanted one of them: leave the other out")

    def host_ns(self, first_stage: int, rows: int = 1) -> int:
        """What the host does for a launch, before any rows are copied for it, and unless it has to wake."""
        return self.boundary_ns if first_stage else self.launch_ns + self._further_ns(rows)

    def busy_ns(self, first_stage: int, rows: int = 1) -> int:
        """Of that, what other launches have to wait for where one thread does it for all."""
        if first_stage:
            busy_ns = self.boundary_busy_ns
            return self.boundary_ns if busy_ns is None else min(self.boundary_ns, busy_ns)
        busy_ns = self.launch_busy_ns
        return (self.launch_ns if busy_ns is None else min(self.launch_ns, busy_ns)) + self._further_ns(rows)

    def _further_ns(self, rows: int) -> int:
        return (rows - 1) * (self.launch_busy_ns_per_row or 0)

    def transfer_ns(self, first_stage: int, rows: int) -> int:
        """What brings the rows of a launch to the device, and their answers back, after the host has done its part."""
        return 0 if first_stage else rows * self.transfer_ns_per_row

    def bounced_ns(self, first_row: int, rows: int) -> int:
        """What a launch takes longer on the device whose batch lies from `first_row` on."""
        return self.bounce_ns + rows * self.bounce_ns_per_row if first_row else 0

    def table_us(self) -> dict[str, float]:
        """What a latency table holds of them, in microseconds: nothing that does not cost, and nothing that nobody knows."""
        bounces = self.bounce_ns or self.bounce_ns_per_row
        found: dict[str, float] = {}
        for key, name in COSTS_US.items():
            cost_ns: int | None = getattr(self, name)
            if cost_ns is not None and (
                cost_ns or key in _ALWAYS or key in _OF_THREAD or (key in _BOUNCES and bounces)
            ):
                found[key] = cost_ns / _NS_PER_US
        return found

    def pace_of(self, queueing_ns: float, rows: int = 1, *, first_alone: bool = False) -> float | None:
        """How many times as long the one thread takes as while all this was measured, by what queueing a fresh batch of so many
        rows takes, for the whole model or for its first stage alone; None where nobody knows."""
        usual_ns = self.first_queueing_ns if first_alone else self.queueing_ns
        if not usual_ns or (rows > 1 and self.launch_busy_ns_per_row is None):
            return None
        return queueing_ns / (usual_ns + self._further_ns(rows))

    def at_speed(self, factor: float) -> Costs:
        """Where everything takes `factor` times as long."""

        def slower(cost_ns: int) -> int:
            return round(factor * cost_ns)

        return replace(
            self._of_thread_at(factor),
            launch_ns=slower(self.launch_ns),
            boundary_ns=slower(self.boundary_ns),
            copy_ns_per_row=slower(self.copy_ns_per_row),
            transfer_ns_per_row=slower(self.transfer_ns_per_row),
            wake_ns=slower(self.wake_ns),
            bounce_ns=slower(self.bounce_ns),
            bounce_ns_per_row=slower(self.bounce_ns_per_row),
        )

    def at_pace(self, factor: float) -> Costs:
        """Where the one thread takes `factor` times as long for what keeps it busy, and the device and its line do not."""

        def longer(cost_ns: int, busy_ns: int) -> int:
            return cost_ns + round((factor - 1) * busy_ns)

        return replace(
            self._of_thread_at(factor),
            launch_ns=longer(self.launch_ns, self.busy_ns(0)),
            boundary_ns=longer(self.boundary_ns, self.busy_ns(1)),
            wake_ns=round(factor * self.wake_ns),
        )

    def _of_thread_at(self, factor: float) -> Costs:
        """What was measured of the one thread, at another pace."""

        def slower(cost_ns: int | None) -> int | None:
            return None if cost_ns is None else round(factor * cost_ns)

        return replace(
            self,
            launch_busy_ns=slower(self.launch_busy_ns),
            boundary_busy_ns=slower(self.boundary_busy_ns),
            launch_busy_ns_per_row=slower(self.launch_busy_ns_per_row),
            queueing_ns=slower(self.queueing_ns),
            first_queueing_ns=slower(self.first_queueing_ns),
        )
