"""Carries launches out on a device: uploads, stages and downloads are queued on streams, and events tell when they are done.

A *track* is a stream with an executor of every stage and one arena that they share: what is on one stream runs in order, so
no two stages work in it at once. There is one for each buffer set. A launch takes a free track, or the track of the launch that
it is queued behind; where all are taken, that with the fewest before it. Tracks are taken by the place of the batch where
possible, so that the same rows meet the same executors: graphs have both baked in.

Batches that begin their buffer set run *in place*, as one graph for all the stages that they go through, or as one a stage.
Others could lie anywhere, and so could a batch whose track is taken; a graph for each of those places would be captured more
often than used. They run on a track's own rows, of which there is a graph for each stage and size, and are copied there and
back on the device: a few copies, where launching plainly is a call for each kernel, a millisecond in which nobody polls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
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

ROOM_FOR_GRAPHS = 32768
_KEPT_FREE = 0.25  # of the device's memory: each graph takes some
_PAYLOADS = 4096  # whose addresses are kept


class _Flight(NamedTuple):
    """A launch on its track; `reason` says why it has no result."""

    launch_id: int
    done: on_device.Event
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
        self.capturing = True  # what has no graph yet is captured when it is first run
        self._tracks: list[Track] = []
        self._busy: list[Track] = []
        self._track_of: dict[int, Track] = {}  # by launch in flight
        self._events: list[on_device.Event] = []  # free ones
        self._upload_stream, self._uploaded = device.stream(), device.event()
        self.bytes_bounced = 0  # to a track's own rows and back
        self._pinned: list[tuple[int, int, Array]] = []  # page-locked payloads: first byte, behind the last, the memory
        self._aligned: dict[tuple[int, int], bool] = {}
        self._passing: dict[tuple[int, int], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._addresses: dict[
            int, tuple[Array, int | None]
        ] = {}  # of payloads, by id: a pool gives the same ones over and over
        self._payload: Callable[[int], Mapping[str, Array] | None] = lambda _: None
        self._pads: Mapping[str, float] = {}
        self._news: list[Event] = []
        self._lost: str | None = None  # why nothing runs any more
        self._hung: list[Track] = []  # out of use for good

    def serve(self, payload: Callable[[int], Mapping[str, Array] | None], pads: Mapping[str, float]) -> None:
        """`payload(query_id)` gives a query's inputs, one row each, unpadded, or None if it was cancelled meanwhile; `pads`
        what fills their rows up.

        Raises:
            EngineError: a launch of an earlier run still hangs, and may write to any row.
        """
        self._payload, self._pads = payload, pads
        still = [track.index for track in self._hung if not track.flights[-1].done.query()]
        if still:
            raise EngineError(
                f"launches on {len(still)} streams of {self._device.name} hung in an earlier run and have not ended: "
                "they may still write to its rows; start again in a fresh process"
            )

    def pin(self, array: Array) -> Array:
        """A page-locked copy: rows of it are uploaded from where they lie."""
        room = self._device.pinned(array.nbytes)
        pinned = room.view(array.dtype).reshape(array.shape)
        pinned[...] = array
        first = _address(room)
        self._pinned.append((first, first + room.nbytes, room))
        return pinned

    @property
    def has_room(self) -> bool:
        """Whether one more `prepare` may capture what it needs."""
        memory = self._device.memory()
        return (
            len(self.graphs) + 2 * len(self._modules) + 1 <= self.graphs.room
            and memory.free_bytes >= _KEPT_FREE * memory.total_bytes
        )

    @property
    def in_flight(self) -> bool:
        """Whether `poll` has something to wait for."""
        return bool(self._busy or self._news)

    def start(self, launch: Launch) -> None:
        """Queues a launch; it does not wait for anything."""
        if self._lost is not None:
            if not self._news:  # the machine hears of it with the next poll, and fails what is in flight
                self._news.append(DeviceLost(self._lost))
            return
        try:
            self._start(launch)
        except DeviceError as error:
            self._give_up(error)

    def give_up(self, launch: Launch) -> bool:
        """Its track is never used again. What is queued behind it there cannot be called back, and would write to rows that are
        used again: then the device is given up with it."""
        track = self._track_of.pop(launch.id, None)
        if track is None:
            return False
        self._busy.remove(track)
        self._hung.append(track)
        if len(track.flights) > 1:
            self._give_up(DeviceError(f"a launch hung with {len(track.flights) - 1} queued behind it"))
        return True

    def poll(self) -> list[Event]:
        """What has ended since the last call."""
        try:
            self._collect()
        except DeviceError as error:
            self._give_up(error)
        news, self._news = self._news, []
        return news

    def drain(self) -> None:
        """Waits for what is under way, but for what was given up; nobody hears of it. Another run can then be served."""
        while self._busy:
            self.poll()
        self._news.clear()

    def prepare(self, buffer_set: int, lane: int, size: int) -> None:
        """Captures what a batch of this size will need, in place and on the track's own rows."""
        track, last = self._track(buffer_set), len(self._modules) - 1
        place = Place(buffer_set, 0, size)
        self._run(track, 0, last, place, lane)
        for stage in range(last + 1):
            if last:
                self._run(track, stage, stage, place, lane)
        self._bounce(track, 0, last, place, lane)
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
        self._lost = str(error)
        self._news.append(DeviceLost(self._lost))
        self._busy, self._track_of = [], {}

    def _take_track(self, launch: Launch) -> Track:
        if launch.after is not None and launch.after in self._track_of:
            return self._track_of[launch.after]
        home = self._track(launch.place.buffer_set)
        if not home.flights:
            return home
        idle = next((track for track in self._tracks if not track.flights), None)
        if idle is not None:
            return idle
        sound = [track for track in self._tracks if track not in self._hung]
        if len(sound) < self._table.sets:
            return self._track(len(self._tracks))
        # One more would have no graph of anything, and a device with so much to do gains nothing by it.
        return min(sound, key=lambda track: len(track.flights))

    def _track(self, index: int) -> Track:
        while len(self._tracks) <= index:
            self._tracks.append(Track(len(self._tracks), self._device, len(self._modules)))
        return self._tracks[index]

    def _queue(self, track: Track, launch: Launch) -> None:
        self._table.settle(track.stream)
        if launch.first_stage == 0:
            self._upload(launch)
            track.stream.wait(self._uploaded)
        self._run(track, launch.first_stage, launch.last_stage, launch.place, launch.lane)

    def _run(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        """A span of stages: as graphs in place where there are any, else on the track's own rows."""
        if not self.graphs.room and self._is_aligned(place, lane):
            self._in_place(track, first, last, place, lane)
            return
        if place.first_row == 0:
            whole = track.index, first, last, lane, place
            ways = [[whole]]
            if not self.capturing:
                ways.append([(track.index, stage, stage, lane, place) for stage in range(first, last + 1)])
            found = self.graphs.find_first(*ways)
            if found is not None:
                for graph in found:
                    track.stream.launch(graph)
                return
            if self.capturing:
                self._capture(track, whole, lambda: self._in_place(track, first, last, place, lane))
                return
        self._bounce(track, first, last, place, lane)

    def _capture(self, track: Track, key: Hashable, work: Callable[[], None]) -> None:
        """Does the work plainly, and captures it while the device is at it."""
        work()
        self.graphs.add(key, lambda: track.stream.capture(work))

    def _in_place(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        table, layout = self._table, self._table.layout
        for stage in range(first, last + 1):
            names = (*layout.reads[stage], *layout.writes[stage])
            self._enqueue(track, stage, {name: table.address(place, lane, name) for name in names}, place.rows, lane)

    def _bounce(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        """A span of stages on the track's own rows, between copies from the place and back."""
        table, layout, stream = self._table, self._table.layout, track.stream
        rows = layout.rows[lane]
        read, written = self._passed(first, last)
        for name in read:
            size = place.rows * rows[name].bytes
            stream.copy(self._own(track, name), table.address(place, lane, name), size)
            self.bytes_bounced += size
        for stage in range(first, last + 1):
            key = track.index, stage, lane, place.rows
            found = self.graphs.find_first([key])
            if found is not None:
                stream.launch(found[0])
                continue
            own = {name: self._own(track, name) for name in (*layout.reads[stage], *layout.writes[stage])}
            work = partial(self._enqueue, track, stage, own, place.rows, lane)
            if self.capturing:
                self._capture(track, key, work)
            else:
                work()
        for name in written:
            size = place.rows * rows[name].bytes
            stream.copy(table.address(place, lane, name), self._own(track, name), size)
            self.bytes_bounced += size

    def _passed(self, first: int, last: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a span reads of what was there before, and what of its results is wanted behind it."""
        passed = self._passing.get((first, last))
        if passed is None:
            layout = self._table.layout
            stages = range(first, last + 1)
            made = {name for stage in stages for name in layout.writes[stage]}
            wanted = layout.outputs if last == len(self._modules) - 1 else layout.alive[last + 1]
            # A stage reads what those before it wrote: a name that the span writes, it does not read before.
            read = {name: None for stage in stages for name in layout.reads[stage] if name not in made}
            passed = self._passing[first, last] = tuple(read), tuple(name for name in wanted if name in made)
        return passed

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
        if not self._pinned:
            return None
        known = self._addresses.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        found = None
        if value.flags.c_contiguous:
            address = _address(value)
            if any(start <= address and address + value.nbytes <= end for start, end, _ in self._pinned):
                found = address
        if len(self._addresses) >= _PAYLOADS:  # those of a client that sends ever new ones
            self._addresses.clear()
        self._addresses[id(value)] = value, found
        return found

    def _download(self, track: Track, launch: Launch, done: on_device.Event) -> None:
        """On a stream of its own, so that what is queued behind does not wait for it."""
        track.stream.record(done)
        stream = track.answers
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
