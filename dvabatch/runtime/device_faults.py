"""Faults on a device: launches run as ever, and what befalls them is done to the report of their end.

Work that is queued on a device cannot be made to fail or hang from outside. So a launch that fails ends and is said to have
failed, one that hangs is never heard of, and one that is slow is heard of later, by what the profile says of its stages.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFailed, LaunchFinished
from dvabatch.batching.profile import Profile
from dvabatch.runtime.faults import Fate, Faults
from dvabatch.runtime.polling import Pollable


class FaultyDevice:
    """A starter around a starter: the ends of launches come as their fates want.

    What is queued behind a launch that has a fate waits here, since the device would run it at once.
    """

    def __init__(self, launcher: Pollable, faults: Faults, profile: Profile, now_ns: Callable[[], int]) -> None:
        """`now_ns` is the driver's clock."""
        self._launcher = launcher
        self._faults = faults
        self._profile = profile
        self._now_ns = now_ns
        self._struck: dict[int, tuple[Launch, Fate]] = {}  # until their end is reported, or they are given up
        self._behind: dict[int, Launch] = {}  # by the launch that each waits for
        self._held: list[tuple[int, int, Event]] = []  # a heap of (when to report it, launch, its end)

    @property
    def in_flight(self) -> bool:
        return self._launcher.in_flight or bool(self._held)

    def start(self, launch: Launch) -> None:
        fate = self._faults.take(launch.id)
        if fate is not None:
            self._struck[launch.id] = launch, fate
        if launch.after is not None and launch.after in self._struck:
            self._behind[launch.after] = launch
        else:
            self._launcher.start(launch)

    def give_up(self, launch: Launch) -> bool:
        if self._struck.pop(launch.id, None) is None:
            return self._launcher.give_up(launch)
        self._behind.pop(launch.id, None)
        self._held = [entry for entry in self._held if entry[1] != launch.id]
        heapq.heapify(self._held)
        self._launcher.give_up(launch)  # if it has not ended there either
        return True

    def poll(self) -> list[Event]:
        events = []
        for event in self._launcher.poll() if self._launcher.in_flight else ():
            struck = self._struck.get(event.launch_id) if isinstance(event, (LaunchFinished, LaunchFailed)) else None
            if struck is None:
                events.append(event)
            elif not struck[1].hangs:
                self._hold(event, *struck)
        while self._held and self._held[0][0] <= self._now_ns():
            _, launch_id, event = heapq.heappop(self._held)
            del self._struck[launch_id]
            events.append(event)
            behind = self._behind.pop(launch_id, None)
            if behind is not None:
                self._launcher.start(behind)
        return events

    def _hold(self, event: Event, launch: Launch, fate: Fate) -> None:
        late_ns = sum(
            (factor - 1) * self._profile.stage_ns(stage, launch.place.rows, launch.lane) for stage, factor in fate.slow
        )
        if fate.ends_at is not None and isinstance(event, LaunchFinished):
            event = LaunchFailed(launch.id, fate.reason)
        heapq.heappush(self._held, (self._now_ns() + round(late_ns), launch.id, event))
