"""The watchdog: which launches have been under way for too long, and what the machine is told of them.

A launch that does not end is given up: its queries fail, its executors and rows are lost, and fresh executors take over.
"""

from __future__ import annotations

from collections.abc import Iterable

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, ExecutorAdded, ExecutorLost
from dvabatch.batching.executors import Executors
from dvabatch.batching.profile import NS_PER_MS, Profile
from dvabatch.runtime.instants import NEVER

_TIMES = 100
_LEAST_NS = 10_000_000_000


def usual_timeout_ns(profile: Profile, max_batch: int) -> int:
    """How long a launch may take where nobody says: a hundred times the longest that the profile knows, 10 s at the least.

    Nothing that is only slow comes near it: a host that is busy elsewhere, launches that share the device, a first run.
    """
    longest_ns = max(profile.span_ns(0, profile.stages - 1, max_batch, lane) for lane in range(len(profile.lanes)))
    return max(_LEAST_NS, _TIMES * longest_ns)


class Watchdog:
    """Launches in flight, in the order in which their time runs out: it is the same for all."""

    def __init__(self, timeout_ns: int) -> None:
        if timeout_ns < 1:
            raise ValueError(f"timeout_ns is {timeout_ns}; wanted 1 or more")
        self.timeout_ns = timeout_ns
        self.given_up = 0
        self._running: dict[int, tuple[int, Launch]] = {}  # by launch: when it is overdue
        self._behind: dict[int, Launch] = {}  # by the launch that each waits for, which is running

    @property
    def next_ns(self) -> int:
        """When the next launch is overdue."""
        for overdue_ns, _ in self._running.values():
            return overdue_ns
        return NEVER

    def started(self, launch: Launch, now_ns: int) -> None:
        """The time of a launch begins when the one that it waits for has ended."""
        if launch.after is not None and launch.after in self._running:
            self._behind[launch.after] = launch
        else:
            self._running[launch.id] = now_ns + self.timeout_ns, launch

    def ended(self, launch_id: int, now_ns: int) -> None:
        """A launch has come to its end; harmless if it was given up."""
        if self._running.pop(launch_id, None) is not None and self._behind:
            following = self._behind.pop(launch_id, None)
            if following is not None:
                self._running[following.id] = now_ns + self.timeout_ns, following

    def forget_all(self) -> None:
        """Nothing that is in flight will end, and everybody knows."""
        self._running.clear()
        self._behind.clear()

    def overdue(self, now_ns: int) -> list[Launch]:
        """The launches whose time is out."""
        return [launch for overdue_ns, launch in self._running.values() if overdue_ns <= now_ns]

    def give_up(self, launch: Launch) -> Launch | None:
        """Waits for a launch no longer; answers with the one queued behind it, which never starts."""
        self.given_up += 1
        del self._running[launch.id]
        return self._behind.pop(launch.id, None)

    def losses(self, launches: Iterable[Launch], executors: Executors) -> list[Event]:
        """What the machine has to hear of launches that are given up: successors first, and who is lost."""
        events: list[Event] = []
        following: dict[int, int] = {}
        for launch in launches:
            for stage in range(launch.first_stage, launch.last_stage + 1):
                index = following.get(stage, executors.count(stage))
                events.append(ExecutorAdded(stage, index))
                following[stage] = index + 1
            events.append(ExecutorLost(launch.first_stage, launch.executors[0], self._reason(launch)))
        return events

    def _reason(self, launch: Launch) -> str:
        first, last = launch.first_stage, launch.last_stage
        where = f"stage {first}" if first == last else f"stages {first} to {last}"
        return f"launch of {where} given up: no end after {self.timeout_ns / NS_PER_MS:g} ms"
