"""Carries launches out on a device: uploads, stages and downloads are queued on streams, and events tell when they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import DeviceLost, Event, LaunchFailed, LaunchFinished
from dvabatch.batching.place import Place
from dvabatch.runtime.device_spans import Spans
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.device_tracks import Flight, Track, Tracks
from dvabatch.runtime.device_transfers import Transfers
from dvabatch.runtime.graphs import Graphs
from dvabatch.runtime.padding import PayloadError
from engines import device as on_device
from engines.base import Array
from engines.device import STREAMS, Device, DeviceError, Module
from engines.errors import EngineError

ROOM_FOR_GRAPHS = 32768


class DeviceLauncher:
    """Every launch ends in exactly one event, which `poll` gives."""

    def __init__(
        self,
        device: Device,
        modules: Sequence[Module],
        table: DeviceTable,
        *,
        graphs: int = ROOM_FOR_GRAPHS,
    ) -> None:
        """`graphs` is how many captured graphs are kept; 0 launches every stage plainly."""
        self._device = device
        self._table = table
        self.graphs = Graphs(graphs)
        self.spans = Spans(device, modules, table, self.graphs)
        self._transfers = Transfers(device, table)
        # More launches than sets are under way where late queries catch up: behind another one they would hold up their batch.
        # Each track has two streams, and one more brings the payloads.
        self.more_tracks = max(0, min(table.sets // 2, (STREAMS - 1) // 2 - table.sets))
        self._tracks = Tracks(device, len(modules), table.sets + self.more_tracks)
        self._events: list[on_device.Event] = []  # free ones
        self._news: list[Event] = []
        self._lost: str | None = None  # why nothing runs any more

    def serve(self, payload: Callable[[int], Mapping[str, Array] | None], pads: Mapping[str, float]) -> None:
        """`payload(query_id)` gives a query's inputs, one row each, unpadded, or None if it was cancelled meanwhile; `pads`
        what fills their rows up.

        Raises:
            EngineError: a launch of an earlier run still hangs, and may write to any row.
        """
        self._transfers.serve(payload, pads)
        hung = self._tracks.still_hung
        if hung:
            raise EngineError(
                f"launches on {hung} streams of {self._device.name} hung in an earlier run and have not ended: "
                "they may still write to its rows; start again in a fresh process"
            )

    def know(self, payloads: Iterable[tuple[Mapping[str, Array], int]], pads: Mapping[str, float]) -> None:
        """Looks at what may come, each in batches of a lane, before it does; `pads` as they will be served with."""
        self._transfers.know(payloads, pads)

    @property
    def lost(self) -> str | None:
        """Why nothing runs on the device any more; None while it does."""
        return self._lost

    def pin(self, array: Array) -> Array:
        """A page-locked copy: rows of it are uploaded from where they lie."""
        return self._transfers.pin(array)

    @property
    def in_flight(self) -> bool:
        """Whether `poll` has something to wait for."""
        return self._tracks.busy or bool(self._news)

    def start(self, launch: Launch) -> None:
        """Queues a launch; it does not wait for anything."""
        if self._lost is not None:
            if not self._news:  # the machine hears of it with the next poll, and fails what is in flight
                self._news.append(DeviceLost(self._lost))
            return
        try:
            self._start(launch)
        except DeviceError as error:
            self._lose(error)

    def give_up(self, launch: Launch) -> bool:
        """Its track is never used again. What is queued behind it there cannot be called back, and would write to rows that are
        used again: then the device is given up with it."""
        behind = self._tracks.give_up(launch.id)
        if behind is None:
            return False
        if behind:
            self._lose(DeviceError(f"a launch hung with {behind} queued behind it"))
        return True

    def poll(self) -> list[Event]:
        """What has ended since the last call."""
        try:
            for launch_id, done, reason in self._tracks.ended():
                self._events.append(done)
                self._news.append(LaunchFinished(launch_id) if reason is None else LaunchFailed(launch_id, reason))
        except DeviceError as error:
            self._lose(error)
        news, self._news = self._news, []
        return news

    def drain(self) -> None:
        """Waits for what is under way, but for what was given up; nobody hears of it. Another run can then be served."""
        while self._tracks.busy:
            self.poll()
        self._news.clear()

    def prepare(self, buffer_set: int, lane: int, size: int) -> None:
        """Captures what a batch of this size will need at the beginning of a set, and elsewhere."""
        self.spans.prepare(self._tracks.at(buffer_set), Place(buffer_set, 0, size), lane)

    def prepare_more(self, lane: int, size: int) -> None:
        """Captures what a batch of this size will need on the tracks that belong to no set."""
        for index in range(self._table.sets, self._table.sets + self.more_tracks):
            self.spans.prepare_elsewhere(self._tracks.at(index), Place(0, 0, size), lane)

    def repeat(self, track: int, first: int, last: int, place: Place, lane: int) -> None:
        """Queues a span of stages on a track, for timing: nothing is uploaded, downloaded or reported."""
        self.spans.run(self._tracks.at(track), first, last, place, lane)

    def synchronize(self, track: int) -> None:
        """Waits for what `repeat` queued."""
        self._tracks.at(track).stream.synchronize()

    def _start(self, launch: Launch) -> None:
        track = self._tracks.take(launch)
        done = self._events.pop() if self._events else self._device.event()
        reason = None
        try:
            self._queue(track, launch)
        except DeviceError:
            raise
        except (EngineError, PayloadError) as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 -- a defect of an engine or a payload fails its own queries, with its name
            reason = f"{type(error).__name__}: {error}"
        if reason is not None:
            self._transfers.seal(track)  # rows return only when nothing writes to them any more
        if reason is None and launch.last_stage == self.spans.last:
            self._transfers.download(launch, track, done)
        else:
            track.stream.record(done)
        self._tracks.put(track, Flight(launch.id, done, reason))

    def _queue(self, track: Track, launch: Launch) -> None:
        self._table.settle(track.stream)
        if launch.first_stage == 0:
            self._transfers.upload(launch, track)
        self.spans.run(track, launch.first_stage, launch.last_stage, launch.place, launch.lane)

    def _lose(self, error: DeviceError) -> None:
        """Nothing on the device will end, and nothing will run."""
        self._lost = str(error)
        self._news.append(DeviceLost(self._lost))
        self._tracks.give_up_all()
