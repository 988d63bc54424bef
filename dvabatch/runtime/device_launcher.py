"""Carries launches out on a device: uploads, stages and downloads are queued on streams, and events tell when they are done.

A *track* is a stream with an executor of every stage and one arena that they share: what is on one stream runs in order, so
no two stages work in it at once. A launch takes a free track, or the track of the launch that it is queued behind. Tracks are
taken by the place of the batch where possible, so that the same rows meet the same executors: graphs have both baked in.

Batches that begin their buffer set run *in place*, as one graph for all the stages that they go through. Others could lie
anywhere, and a graph for each of those places would be captured more often than used: they run on a track's own rows, of which
there is a graph for each size, and are copied there and back on the device: that is two copies a stage, where launching it
plainly is a call for each of its kernels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import DeviceLost, Event, LaunchFailed, LaunchFinished
from dvabatch.batching.place import Place
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.graphs import Graphs
from dvabatch.runtime.padding import PayloadError, fill_row, narrowed
from engines import device as on_device
from engines.base import Array
from engines.device import ALIGNMENT, Device, DeviceError, Executor, Module
from engines.errors import EngineError

ROOM_FOR_GRAPHS = 8192  # each takes memory of the device


class _Flight(NamedTuple):
    """A launch on its track; `reason` says why it has no result."""

    launch_id: int
    done: on_device.Event
    reason: str | None


class Track:
    """A stream, its executors, and what is in flight on it."""

    __slots__ = ("arena", "executors", "flights", "index", "rows", "stream")

    def __init__(self, index: int, stream: on_device.Stream, stages: int) -> None:
        self.index = index
        self.stream = stream
        self.arena: int | None = None
        self.executors: list[Executor | None] = [None] * stages
        self.rows: dict[str, int] = {}  # memory of its own, by tensor
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
        self.bytes_bounced = 0  # to a track's own rows and back
        self._pinned: list[tuple[int, int, Array]] = []  # page-locked payloads: first byte, behind the last, the memory
        self._aligned: dict[tuple[int, int], bool] = {}
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
        first = _address(room)
        self._pinned.append((first, first + room.nbytes, room))
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

    def prepare(self, buffer_set: int, lane: int, size: int) -> None:
        """Captures what a batch of this size will need, in place and on the track's own rows."""
        track, last = self._track(buffer_set), len(self._modules) - 1
        place = Place(buffer_set, 0, size)
        self._run(track, 0, last, place, lane)
        for stage in range(last + 1):
            if last:
                self._run(track, stage, stage, place, lane)
            self._bounce(track, stage, place, lane)
        track.stream.synchronize()

    def repeat(self, track: int, first: int, last: int, place: Place, lane: int) -> None:
        """Queues a span of stages on a track, for timing: nothing is uploaded, downloaded or reported."""
        self._run(self._track(track), first, last, place, lane)

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
            self._upload_stream.record(self._uploaded)  # rows return only when nothing writes to them any more
            track.stream.wait(self._uploaded)
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
        return next((track for track in self._tracks if not track.flights), None) or self._track(len(self._tracks))

    def _track(self, index: int) -> Track:
        while len(self._tracks) <= index:
            self._tracks.append(Track(len(self._tracks), self._device.stream(), len(self._modules)))
        return self._tracks[index]

    def _queue(self, track: Track, launch: Launch) -> None:
        self._table.settle(track.stream)
        if launch.first_stage == 0:
            self._upload(launch)
            track.stream.wait(self._uploaded)
        self._run(track, launch.first_stage, launch.last_stage, launch.place, launch.lane)

    def _run(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        """A span of stages: a graph in place, else each stage as a graph on the track's own rows, else plainly."""
        in_place = place.first_row == 0 or (not self.graphs.room and self._is_aligned(place, lane))
        if in_place:
            key = track.index, first, last, lane, place
            self._replay(track, key, lambda: self._in_place(track, first, last, place, lane))
            return
        for stage in range(first, last + 1):
            self._bounce(track, stage, place, lane)

    def _replay(self, track: Track, key: Hashable, work: Callable[[], None]) -> None:
        """The graph of this key; where there is none, the work itself, and its capture while the device is at it."""
        graph = self.graphs.find(key)
        if graph is not None:
            track.stream.launch(graph)
            return
        work()
        if self.capturing:
            self.graphs.add(key, lambda: track.stream.capture(work))

    def _in_place(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        table, layout = self._table, self._table.layout
        for stage in range(first, last + 1):
            names = (*layout.reads[stage], *layout.writes[stage])
            self._enqueue(track, stage, {name: table.address(place, lane, name) for name in names}, place.rows, lane)

    def _bounce(self, track: Track, stage: int, place: Place, lane: int) -> None:
        """One stage on the track's own rows, between copies from the place and back."""
        table, layout, stream = self._table, self._table.layout, track.stream
        rows = layout.rows[lane]
        own = {name: self._own(track, name) for name in (*layout.reads[stage], *layout.writes[stage])}
        for name in layout.reads[stage]:
            size = place.rows * rows[name].bytes
            stream.copy(own[name], table.address(place, lane, name), size)
            self.bytes_bounced += size
        key = track.index, stage, lane, place.rows
        self._replay(track, key, lambda: self._enqueue(track, stage, own, place.rows, lane))
        for name in layout.writes[stage]:
            size = place.rows * rows[name].bytes
            stream.copy(table.address(place, lane, name), own[name], size)
            self.bytes_bounced += size

    def _enqueue(self, track: Track, stage: int, addresses: Mapping[str, int], rows: int, lane: int) -> None:
        executor = track.executors[stage]
        if executor is None:
            executor = track.executors[stage] = self._modules[stage].executor(self._arena(track))
        layout = self._table.layout
        shapes = {name: (rows, *layout.rows[lane][name].shape) for name in layout.reads[stage]}
        executor.enqueue(track.stream, addresses, shapes)

    def _is_aligned(self, place: Place, lane: int) -> bool:
        """Whether engines can be bound to these rows where they lie, in every tensor."""
        key = lane, place.first_row
        aligned = self._aligned.get(key)
        if aligned is None:
            aligned = self._aligned[key] = all(
                place.first_row * spec.bytes % ALIGNMENT == 0 for spec in self._table.layout.rows[lane].values()
            )
        return aligned

    def _arena(self, track: Track) -> int:
        if track.arena is None:
            most = max(module.arena_bytes for module in self._modules)
            track.arena = self._device.allocate(most, f"the arena of track {track.index}")
        return track.arena

    def _own(self, track: Track, name: str) -> int:
        own = track.rows.get(name)
        if own is None:
            size = self._table.bytes_of(name) * self._table.max_batch
            own = track.rows[name] = self._device.allocate(size, f"track {track.index}'s own rows of {name!r}")
        return own

    # To and from the host -------------------------------------------------------------------------------------------

    def _upload(self, launch: Launch) -> None:
        """Page-locked payloads go from where they lie, neighbours at one call; others by way of the place's host rows."""
        stream, table, place, lane = self._upload_stream, self._table, launch.place, launch.lane
        table.settle(stream)
        payloads = [self._payload(query_id) for query_id in launch.query_ids]
        for name in table.layout.inputs:
            spec = table.layout.rows[lane][name]
            target, row_bytes = table.address(place, lane, name), spec.bytes
            staged: Array | None = None
            staged_at, was_staged = 0, False
            first, source, behind = 0, 0, 0  # a run of rows: where it begins, where it comes from and ends there
            for row, payload in enumerate(payloads):
                value = None if payload is None else payload[name]
                fits = value is not None and value.shape == spec.shape and value.dtype == spec.dtype
                address = self._pinned_at(value) if fits and value is not None else None
                if address is None:
                    if staged is None:
                        staged = table.rows(place, lane, (name,))[name]
                        staged_at = _address(staged)
                    _stage(staged[row], value, self._pads.get(name, 0), name)
                    address = staged_at + row * row_bytes
                # Staged rows never follow pinned ones: they are other memory, wherever that lies.
                if row == 0 or address != behind or (address == staged_at + row * row_bytes) != was_staged:
                    if row:
                        stream.upload(target + first * row_bytes, self._bytes_at(source, behind, staged))
                    first, source = row, address
                behind = address + row_bytes
                was_staged = address == staged_at + row * row_bytes
            stream.upload(target + first * row_bytes, self._bytes_at(source, behind, staged))
        stream.record(self._uploaded)

    def _bytes_at(self, first: int, behind: int, staged: Array | None) -> Array:
        """Page-locked memory as bytes: of a pinned payload, or of the place's host rows."""
        for start, end, room in self._pinned:
            if start <= first and behind <= end:
                return room[first - start : behind - start]
        assert staged is not None
        start = _address(staged)
        return staged.reshape(-1).view(np.uint8)[first - start : behind - start]

    def _pinned_at(self, value: Array) -> int | None:
        """The address of a page-locked payload."""
        if not self._pinned or not value.flags.c_contiguous:
            return None
        address = _address(value)
        return next(
            (address for start, end, _ in self._pinned if start <= address and address + value.nbytes <= end), None
        )

    def _download(self, track: Track, launch: Launch, done: on_device.Event) -> None:
        """On a stream of its own, so that what is queued behind does not wait for it."""
        track.stream.record(done)
        stream = self._download_stream
        stream.wait(done)
        names = self._table.layout.outputs
        for name, rows in self._table.rows(launch.place, launch.lane, names).items():
            stream.download(rows, self._table.address(launch.place, launch.lane, name))
        stream.record(done)


def _stage(row: Array, value: Array | None, pad: float, name: str) -> None:
    """A payload in its host row; zeros where nobody waits for the answer any more."""
    if value is None:
        row[...] = 0
    else:
        fill_row(row, narrowed(value, row.dtype, name), pad, name)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
