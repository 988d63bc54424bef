"""Tracks of a device: streams with their executors, and the launches that are in flight on them.

What is on one stream runs in order, so all executors of a track share one arena: no two stages work in it at once. There is a
track for each buffer set, and some behind them that belong to none. A launch takes that of its set, where the same rows meet
the same executors (graphs have both baked in), or that of the launch which it is queued behind. Where its own is taken, it
takes a free one, the last first: the first ones belong to sets whose next batch will want them. Where all are taken, that with
the fewest before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from dvabatch.batching.commands import Launch
from engines.device import Device, Event, Executor


class Flight(NamedTuple):
    """A launch on its track; `reason` says why it has no result."""

    launch_id: int
    done: Event
    reason: str | None


class Track:
    """A stream, its executors, and what is in flight on it."""

    __slots__ = ("answers", "arena", "executors", "flights", "index", "rows", "stream")

    def __init__(self, index: int, device: Device, stages: int) -> None:
        self.index = index
        self.stream = device.stream()
        self.answers = device.stream()  # to the host: what is queued behind does not wait for it
        self.arena: int | None = None
        self.executors: list[Executor | None] = [None] * stages
        self.rows: dict[str, int] = {}  # memory of its own, by tensor
        self.flights: deque[Flight] = deque()


class Tracks:
    """All tracks of a device, made when they are first taken."""

    def __init__(self, device: Device, stages: int, most: int) -> None:
        """At most `most` of them are used, beside those that hang."""
        self._device = device
        self._stages = stages
        self._most = most
        self._tracks: list[Track] = []
        self._busy: list[Track] = []
        self._of: dict[int, Track] = {}  # by launch in flight
        self._hung: list[Track] = []  # out of use for good

    @property
    def busy(self) -> bool:
        """Whether anything is in flight that was not given up."""
        return bool(self._busy)

    @property
    def still_hung(self) -> int:
        """How many streams have not come to the end of what was given up."""
        return sum(not track.flights[-1].done.query() for track in self._hung)

    def at(self, index: int) -> Track:
        """By number; also one that is taken."""
        while len(self._tracks) <= index:
            self._tracks.append(Track(len(self._tracks), self._device, self._stages))
        return self._tracks[index]

    def take(self, launch: Launch) -> Track:
        """The track for a launch."""
        if launch.after is not None and launch.after in self._of:
            return self._of[launch.after]
        home = self.at(launch.place.buffer_set)
        if not home.flights:
            return home
        idle = next((track for track in reversed(self._tracks) if not track.flights), None)
        if idle is not None:
            return idle
        sound = [track for track in self._tracks if track not in self._hung]
        if len(sound) < self._most:
            return self.at(len(self._tracks))
        # One more would have no graph of anything, and a device with so much to do gains nothing by it.
        return min(sound, key=lambda track: len(track.flights))

    def put(self, track: Track, flight: Flight) -> None:
        """A launch was queued on its track."""
        if not track.flights:
            self._busy.append(track)
        track.flights.append(flight)
        self._of[flight.launch_id] = track

    def ended(self) -> Iterator[Flight]:
        """Those whose end the device has reported, each once.

        Raises:
            DeviceError: the device does not answer any more.
        """
        over = False
        for track in self._busy:
            flights = track.flights
            while flights and flights[0].done.query():
                flight = flights.popleft()
                del self._of[flight.launch_id]
                yield flight
            over = over or not flights
        if over:
            self._busy = [track for track in self._busy if track.flights]

    def give_up(self, launch_id: int) -> int | None:
        """The launch's track is never used again. How many others are queued behind it there; None if it is not in flight."""
        track = self._of.pop(launch_id, None)
        if track is None:
            return None
        self._busy.remove(track)
        self._hung.append(track)
        return len(track.flights) - 1

    def give_up_all(self) -> None:
        """Nothing on the device will end."""
        self._busy, self._of = [], {}
