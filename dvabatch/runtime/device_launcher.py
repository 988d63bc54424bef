"""Carries launches out on a device: uploads, stages and downloads are queued on streams, and events tell when they are done.

A *track* is a stream with an executor of every stage and one arena that they share: what is on one stream runs in order, so
no two stages work in it at once. A launch takes a free track, or the track of the launch that it is queued behind. Tracks are
taken by the place of the batch where possible, so that the same rows meet the same executors: graphs have both baked in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import DeviceLost, Event, LaunchFailed, LaunchFinished
from dvabatch.batching.place import Place
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.graphs import Graphs
from dvabatch.runtime.padding import PayloadError, fill_row, narrowed
from engines import device as on_device
from engines.base import Array
from engines.device import Device, DeviceError, Executor, Module
from engines.errors import EngineError

ROOM_FOR_GRAPHS = 8192  # some hundred kilobytes each


class _Flight(NamedTuple):
    """A launch on its track; `reason` says why it has no result."""

    launch_id: int
    done: on_device.Event
    reason: str | None


class Track:
    """A stream, its executors, and what is in flight on it."""

    __slots__ = ("arena", "bounces", "executors", "flights", "index", "stream")

    def __init__(self, index: int, stream: on_device.Stream, stages: int) -> None:
        self.index = index
        self.stream = stream
        self.arena: int | None = None
        self.executors: list[Executor | None] = [None] * stages
        self.bounces: dict[str, int] = {}  # aligned memory for rows that are not
        self.flights: deque[_Flight] = deque()


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
        self._modules = modules
        self._table = table
        self.graphs = Graphs(graphs)
        self.capturing = True
        self._tracks: list[Track] = []
        self._busy: list[Track] = []
        self._track_of: dict[int, Track] = {}  # by launch in flight
        self._events: list[on_device.Event] = []  # free ones
        self._upload_stream, self._uploaded = device.stream(), device.event()
        self._download_stream = device.stream()
        self._blocks: list[tuple[int, Array]] = []  # page-locked payloads by address, rising
        self._payload: Callable[[int], Mapping[str, Array] | None] = lambda _: None
        self._pads: Mapping[str, float] = {}
        self._news: list[Event] = []
        self._is_lost = False

    def serve(self, payload: Callable[[int], Mapping[str, Array] | None], pads: Mapping[str, float]) -> None:
        """`payload(query_id)` gives a query's inputs, one row each, unpadded, or None if it was cancelled meanwhile; `pads`
        what fills their rows up."""
        self._payload, self._pads = payload, pads

    def pin(self, array: Array) -> Array:
        """A page-locked copy: rows of it are uploaded from where they lie."""
        room = self._device.pinned(array.nbytes)
        pinned = room.view(array.dtype).reshape(array.shape)
        pinned[...] = array
        self._blocks.append((_address(room), room))
        self._blocks.sort(key=lambda block: block[0])
        return pinned

    @property
    def in_flight(self) -> bool:
        """Whether `poll` has something to wait for."""
        return bool(self._busy or self._news)

    def start(self, launch: Launch) -> None:
        """Queues a launch; it does not wait for anything."""
        if self._is_lost:
            return  # the machine hears of it with the next poll, and fails what is in flight
        try:
            self._start(launch)
        except DeviceError as error:
            self._give_up(error)

    def poll(self) -> list[Event]:
        """What has ended since the last call."""
        try:
            self._collect()
        except DeviceError as error:
            self._give_up(error)
        news, self._news = self._news, []
        return news

    def prepare(self, places: Sequence[tuple[Place, int]]) -> None:
        """Captures the graphs of batches at these places and lanes, through all stages, on the tracks they would take."""
        for place, lane in places:
            track = self._track(place.buffer_set)
            for stage in range(len(self._modules)):
                self._run(track, stage, place, lane)
            track.stream.synchronize()

    def repeat(self, track: int, first: int, last: int, place: Place, lane: int) -> None:
        """Queues a span of stages on a track, for timing: nothing is uploaded, downloaded or reported."""
        at = self._track(track)
        for stage in range(first, last + 1):
            self._run(at, stage, place, lane)

    def synchronize(self, track: int) -> None:
        """Waits for what `repeat` queued."""
        self._track(track).stream.synchronize()

    # Launching ------------------------------------------------------------------------------------------------------

    def _start(self, launch: Launch) -> None:
        track = self._take_track(launch)
        done = self._events.pop() if self._events else self._device.event()
        reason = None
        try:
            self._queue(track, launch)
        except DeviceError:
            raise
        except (EngineError, PayloadError) as error:
            reason = str(error)
        if reason is None and launch.last_stage == len(self._modules) - 1:
            self._download(track, launch, done)
        else:
            track.stream.record(done)
        if not track.flights:
            self._busy.append(track)
        track.flights.append(_Flight(launch.id, done, reason))
        self._track_of[launch.id] = track

    def _collect(self) -> None:
        over = False
        for track in self._busy:
            flights = track.flights
            while flights and flights[0].done.query():
                launch_id, done, reason = flights.popleft()
                self._events.append(done)
                del self._track_of[launch_id]
                self._news.append(LaunchFinished(launch_id) if reason is None else LaunchFailed(launch_id, reason))
            over = over or not flights
        if over:
            self._busy = [track for track in self._busy if track.flights]

    def _give_up(self, error: DeviceError) -> None:
        """Nothing on the device will end, and nothing will run."""
        self._is_lost = True
        self._news.append(DeviceLost(str(error)))
        self._busy, self._track_of = [], {}

    def _take_track(self, launch: Launch) -> Track:
        if launch.after is not None and launch.after in self._track_of:
            return self._track_of[launch.after]
        home = self._track(launch.place.buffer_set)
        if not home.flights:
            return home
        for track in self._tracks:
            if not track.flights:
                return track
        return self._track(len(self._tracks))

    def _track(self, index: int) -> Track:
        while len(self._tracks) <= index:
            self._tracks.append(Track(len(self._tracks), self._device.stream(), len(self._modules)))
        return self._tracks[index]

    def _queue(self, track: Track, launch: Launch) -> None:
        self._table.settle(track.stream)
        if launch.first_stage == 0:
            self._upload(launch)
            track.stream.wait(self._uploaded)
        for stage in range(launch.first_stage, launch.last_stage + 1):
            self._run(track, stage, launch.place, launch.lane)

    def _run(self, track: Track, stage: int, place: Place, lane: int) -> None:
        """One stage, as a graph where there is one; a plain run is followed by its capture, while the device is at it."""
        key = track.index, stage, lane, place
        graph = self.graphs.find(key)
        if graph is not None:
            track.stream.launch(graph)
            return

        def enqueue() -> None:
            self._enqueue(track, stage, place, lane)

        enqueue()
        if self.capturing:
            self.graphs.add(key, lambda: track.stream.capture(enqueue))

    def _enqueue(self, track: Track, stage: int, place: Place, lane: int) -> None:
        executor = track.executors[stage]
        if executor is None:
            executor = track.executors[stage] = self._modules[stage].executor(self._arena(track))
        table, layout = self._table, self._table.layout
        rows = layout.rows[lane]
        addresses: dict[str, int] = {}
        back: list[str] = []
        for name in (*layout.reads[stage], *layout.writes[stage]):
            addresses[name] = table.address(place, lane, name)
            if not table.is_aligned(place, lane, name):
                bounce = self._bounce(track, name)
                if name in layout.reads[stage]:
                    track.stream.copy(bounce, addresses[name], place.rows * rows[name].bytes)
                else:
                    back.append(name)
                addresses[name] = bounce
        shapes = {name: (place.rows, *rows[name].shape) for name in layout.reads[stage]}
        executor.enqueue(track.stream, addresses, shapes)
        for name in back:
            track.stream.copy(table.address(place, lane, name), addresses[name], place.rows * rows[name].bytes)

    def _arena(self, track: Track) -> int:
        if track.arena is None:
            most = max(module.arena_bytes for module in self._modules)
            track.arena = self._device.allocate(most, f"the arena of track {track.index}")
        return track.arena

    def _bounce(self, track: Track, name: str) -> int:
        bounce = track.bounces.get(name)
        if bounce is None:
            size = self._table.bytes_of(name) * self._table.max_batch
            bounce = track.bounces[name] = self._device.allocate(size, f"aligned rows of {name!r}")
        return bounce

    # To and from the host -------------------------------------------------------------------------------------------

    def _upload(self, launch: Launch) -> None:
        """Page-locked payloads go from where they lie, neighbours at one call; others by way of the place's host rows."""
        stream, table, place = self._upload_stream, self._table, launch.place
        table.settle(stream)
        payloads = [self._payload(query_id) for query_id in launch.query_ids]
        for name in table.layout.inputs:
            spec = table.layout.rows[launch.lane][name]
            target = table.address(place, launch.lane, name)
            runs: list[tuple[int, int, int]] = []  # first row, address, bytes
            for row, payload in enumerate(payloads):
                value = None if payload is None else payload[name]
                address = None
                if value is not None and value.shape == spec.shape and value.dtype == spec.dtype:
                    address = self._pinned_at(value)
                if address is None:
                    room = table.rows(place, launch.lane, (name,))[name]
                    if value is None:
                        room[row] = 0
                    else:
                        fill_row(room[row], narrowed(value, room.dtype, name), self._pads.get(name, 0), name)
                    address = -row - 1  # from the host rows
                if runs and _follows(runs[-1], row, address, spec.bytes):
                    first, base, size = runs[-1]
                    runs[-1] = first, base, size + spec.bytes
                else:
                    runs.append((row, address, spec.bytes))
            for row, address, size in runs:
                stream.upload(target + row * spec.bytes, self._host_bytes(launch, name, row, address, size))
        stream.record(self._uploaded)

    def _host_bytes(self, launch: Launch, name: str, row: int, address: int, size: int) -> Array:
        if address < 0:
            rows = self._table.rows(launch.place, launch.lane, (name,))[name]
            return rows[row : row + size // max(1, rows[0].nbytes)]
        base, block = self._blocks[bisect_right(self._blocks, address, key=lambda entry: entry[0]) - 1]
        return block[address - base : address - base + size]

    def _pinned_at(self, value: Array) -> int | None:
        """The address of a page-locked payload."""
        if not self._blocks or not value.flags.c_contiguous:
            return None
        address = _address(value)
        at = bisect_right(self._blocks, address, key=lambda entry: entry[0]) - 1
        if at < 0:
            return None
        base, block = self._blocks[at]
        return address if address + value.nbytes <= base + block.nbytes else None

    def _download(self, track: Track, launch: Launch, done: on_device.Event) -> None:
        """On a stream of its own, so that what is queued behind does not wait for it."""
        track.stream.record(done)
        stream = self._download_stream
        stream.wait(done)
        names = self._table.layout.outputs
        for name, rows in self._table.rows(launch.place, launch.lane, names).items():
            stream.download(rows, self._table.address(launch.place, launch.lane, name))
        stream.record(done)


def _follows(run: tuple[int, int, int], row: int, address: int, row_bytes: int) -> bool:
    """Whether this row lies right behind a run, where it comes from as well as where it goes."""
    first, base, size = run
    if first * row_bytes + size != row * row_bytes or (base < 0) != (address < 0):
        return False
    return address < 0 or base + size == address


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
