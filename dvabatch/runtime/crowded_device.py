"""The simulator's device where large launches slow small ones down more than the other way round."""

from __future__ import annotations

import math
from collections import Counter

from dvabatch.batching.crowding import LEAST, wait_between
from dvabatch.batching.profile import Profile
from dvabatch.runtime.device_model import DeviceModel, Phases
from dvabatch.runtime.instants import NEVER


class _Flight:
    """A launch on the device, in one of its phases."""

    __slots__ = ("left_ns", "phase", "phases", "slow")

    def __init__(self, phase: int, phases: Phases) -> None:
        self.phase = phase
        self.phases = phases
        self.left_ns: float = phases[phase][0]  # of its work, alone on the device
        self.slow = 1.0


class CrowdedDevice(DeviceModel):
    """Each launch has a speed of its own, by the profile's crowding.

    A phase's second figure is not a share but a `kind`, or that of a line as ever.
    """

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile.slowdown, one_host=profile.costs.one_host)
        assert profile.crowding is not None, "the profile knows only of shares"
        self._crowding = profile.crowding
        self._padded = profile.padded
        self._sizes = profile.max_batch + 1
        kinds = [(batch, lane) for lane in range(len(profile.lanes)) for batch in range(self._sizes)]
        self._device_ns = [profile.device_ns(batch, lane) for batch, lane in kinds]
        self._alone_ns = [profile.span_ns(0, profile.stages - 1, batch, lane) for batch, lane in kinds]
        self._flights: dict[int, _Flight] = {}

    def kind(self, _stage: int, batch: int, lane: int) -> int:
        """Stands for launches of the size that runs for `batch` rows, in this lane; above 0."""
        return lane * self._sizes + self._padded(batch)

    @property
    def next_ns(self) -> int:
        soonest = self._on_host[0][0] if self._on_host else NEVER
        if not self._flights:
            return soonest
        left_ns = min(flight.left_ns * flight.slow for flight in self._flights.values())
        return min(soonest, self._now_ns + max(0, math.ceil(left_ns - 1e-3)))

    def advance(self, now_ns: int) -> list[int]:
        if now_ns != self._now_ns:
            self._tick(now_ns)
        finished: list[int] = []
        over = [launch_id for launch_id, flight in self._flights.items() if flight.left_ns * flight.slow < 1.0]
        for launch_id in over:
            flight = self._flights.pop(launch_id)
            if flight.phase + 1 == len(flight.phases):
                finished.append(launch_id)
            else:
                self._enter(launch_id, flight.phase + 1, flight.phases)
        if over:
            self._weigh()
        if finished:
            self._note_ends(now_ns, len(finished))
        finished += super().advance(now_ns)
        finished.sort()
        return finished

    def _tick(self, now_ns: int) -> None:
        elapsed_ns = now_ns - self._now_ns
        if self._flights:
            self.busy_ns += elapsed_ns
            for flight in self._flights.values():
                flight.left_ns -= elapsed_ns / flight.slow
        super()._tick(now_ns)

    def _enter(self, launch_id: int, phase: int, phases: Phases) -> None:
        if phases[phase][1] > 0:
            self._flights[launch_id] = _Flight(phase, phases)
            self._weigh()
        else:
            self._enter_line(launch_id, phase, phases)

    def _weigh(self) -> None:
        """Who is in flight has changed, and with it all speeds."""
        flights = list(self._flights.values())
        if len(flights) == 1:
            flights[0].slow = 1.0
            return
        kinds = [flight.phases[flight.phase][1] for flight in flights]
        counts = Counter(kinds)
        crowd_ns = sum(count * self._device_ns[kind] for kind, count in counts.items())
        # What others like it would have each wait for it, from the first stage to the last.
        waits_ns = {kind: self._alone_ns[kind] * self._part(kind, crowd_ns / self._device_ns[kind]) for kind in counts}
        slow = {}
        for kind, wait_ns in waits_ns.items():
            alone_ns = self._alone_ns[kind]
            waited_ns = (counts[kind] - 1) * wait_ns  # those alike are as slow as was measured, however little that is
            for other, others_ns in waits_ns.items():
                if other != kind:
                    waited_ns += counts[other] * wait_between(max(wait_ns, LEAST * alone_ns), others_ns)
            slow[kind] = 1.0 + waited_ns / alone_ns
        for flight, kind in zip(flights, kinds, strict=True):
            flight.slow = slow[kind]

    def _part(self, kind: int, crowd: float) -> float:
        lane, batch = divmod(kind, self._sizes)
        return self._crowding[lane].part(batch, crowd)
