"""How fast a machine is while it runs: launches that had the device to themselves, over what the profile says of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from dvabatch.batching.commands import Command, Copy, Launch
from dvabatch.batching.events import Event, LaunchFailed, LaunchFinished
from dvabatch.batching.profile import Profile

FEWEST: Final = 8  # launches that tell a speed, or in a row the pace of their time: one alone errs by a tenth


class LoneLaunches:
    """Hears every call of a machine, as a recorder does, and keeps what launches took that met no other.

    A host's pace changes from second to second, with its neighbours and its clock. What is timed before a run and after it
    tells little of the run itself; the launches that go through it alone are timed for nothing.
    """

    def __init__(self, profile: Profile) -> None:
        """`profile` says how long such a launch takes, what it costs the host and what waking costs included."""
        self._profile = profile
        self._under_way: dict[int, tuple[int, int]] = {}  # by id: since when, and what it should take
        self._alone: int | None = None
        self._copied: set[int] = set()  # buffer sets, whose next launch also waits for a copy
        self._found: list[tuple[int, int, int]] = []  # since when, took, should have taken; in ns

    def record(
        self, now_ns: int, events: Sequence[Event], commands: Sequence[Command], took_ns: int | None = None
    ) -> None:
        """One call of `handle` and its answer, as `Recorder.record` hears it."""
        awake = False
        for event in events:
            if isinstance(event, (LaunchFinished, LaunchFailed)):
                awake = True  # one part of the device at least, this instant
                since_ns, expected_ns = self._under_way.pop(event.launch_id, (0, 0))
                if event.launch_id == self._alone:
                    self._alone = None
                    if isinstance(event, LaunchFinished) and expected_ns:
                        self._found.append((since_ns, now_ns - since_ns, expected_ns))
        for command in commands:
            if isinstance(command, Copy):
                self._copied.add(command.target.buffer_set)
            elif isinstance(command, Launch):
                self._begin(command, now_ns, awake=awake)

    def _begin(self, launch: Launch, now_ns: int, *, awake: bool) -> None:
        among_others = bool(self._under_way)
        copied = launch.place.buffer_set in self._copied
        self._copied.discard(launch.place.buffer_set)
        self._under_way[launch.id] = now_ns, self._expected_ns(launch, awake=awake)
        self._alone = None if among_others or copied else launch.id

    def _expected_ns(self, launch: Launch, *, awake: bool) -> int:
        """As the simulator reckons; 0 for one of which the profile says nothing."""
        profile, rows = self._profile, len(launch.query_ids)
        if not 1 <= rows <= profile.max_batch:
            return 0
        costs, first = profile.costs, launch.first_stage
        before_ns = costs.host_ns(first, rows) + costs.transfer_ns(first, rows) + (0 if awake else costs.wake_ns)
        bounced_ns = costs.bounced_ns(launch.place.first_row, rows)
        return before_ns + bounced_ns + profile.span_ns(first, launch.last_stage, rows, launch.lane)

    @property
    def speed(self) -> tuple[float, float] | None:
        """How many times as long as the profile says they took, in the first half of them and in the second; None where there
        were fewer than `FEWEST`."""
        if len(self._found) < FEWEST:
            return None
        middle = len(self._found) // 2
        return _times(self._found[:middle]), _times(self._found[middle:])

    def pace(self) -> Callable[[int], float] | None:
        """How many times as long everything took, by the instant; None where there is no `speed`.

        Of launches in a row, `FEWEST` at a time, the first says from when on their mean holds.
        """
        if self.speed is None:
            return None
        groups = [self._found[at : at + FEWEST] for at in range(0, len(self._found), FEWEST)]
        if len(groups[-1]) < FEWEST:
            groups[-2:] = [groups[-2] + groups[-1]]
        since_ns, factors = [group[0][0] for group in groups], [_times(group) for group in groups]
        return lambda now_ns: factors[max(0, bisect_right(since_ns, now_ns) - 1)]


def _times(found: Sequence[tuple[int, int, int]]) -> float:
    return sum(took_ns for _, took_ns, _ in found) / sum(expected_ns for _, _, expected_ns in found)
