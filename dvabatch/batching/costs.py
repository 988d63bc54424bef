"""Costs: what a launch takes besides its stages."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Costs:
    """What lies between stages."""

    launch_ns: int = 0  # handing a fresh batch to the device and hearing that it ended
    boundary_ns: int = 0  # from a stage's end to the next launch of the same batch, host included
    copy_ns_per_row: int = 0  # moving one row between buffer sets
    transfer_ns_per_row: int = 0  # bringing one row of a fresh batch to the device, and its answer back
    wake_ns: int = 0  # what it adds to a launch that host and device were idle before it
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
    # For how long queueing the launch of one row kept the thread while all this was measured: of the whole model, and of its
    # first stage alone. By it a run tells its host's pace. None: nobody knows.
    queueing_ns: int | None = None
    first_queueing_ns: int | None = None

    def host_ns(self, first_stage: int) -> int:
        """What the host does for a launch, before any rows are copied for it and unless everything was idle."""
        return self.boundary_ns if first_stage else self.launch_ns

    def busy_ns(self, first_stage: int) -> int:
        """Of that, what other launches have to wait for where one thread does it for all."""
        host_ns = self.host_ns(first_stage)
        busy_ns = self.boundary_busy_ns if first_stage else self.launch_busy_ns
        return host_ns if busy_ns is None else min(host_ns, busy_ns)

    def transfer_ns(self, first_stage: int, rows: int) -> int:
        """What brings the rows of a launch to the device, and their answers back, after the host has done its part."""
        return 0 if first_stage else rows * self.transfer_ns_per_row

    def bounced_ns(self, first_row: int, rows: int) -> int:
        """What a launch takes longer on the device whose batch lies from `first_row` on."""
        return self.bounce_ns + rows * self.bounce_ns_per_row if first_row else 0

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
        )

    def pace_of(self, queueing_ns: float | None, first_queueing_ns: float | None) -> float | None:
        """How many times as long the one thread takes as while all this was measured, by what queueing takes; None where nobody
        knows."""
        known = ((queueing_ns, self.queueing_ns), (first_queueing_ns, self.first_queueing_ns))
        paces = [took_ns / usual_ns for took_ns, usual_ns in known if took_ns and usual_ns]
        return sum(paces) / len(paces) if paces else None

    def _of_thread_at(self, factor: float) -> Costs:
        """What was measured of the one thread, at another pace."""

        def slower(cost_ns: int | None) -> int | None:
            return None if cost_ns is None else round(factor * cost_ns)

        return replace(
            self,
            launch_busy_ns=slower(self.launch_busy_ns),
            boundary_busy_ns=slower(self.boundary_busy_ns),
            queueing_ns=slower(self.queueing_ns),
            first_queueing_ns=slower(self.first_queueing_ns),
        )
