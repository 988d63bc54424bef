"""Runs spans of stages on tracks: as captured graphs where there are any.

Batches that begin their buffer set run *in place*, as one graph for all the stages that they go through, or as one a stage.
Others could lie anywhere, and so could a batch whose track is taken; a graph for each of those places would be captured more
often than used. They run on a track's own rows, of which there is a graph for each stage and size, and are copied there and
back on the device: a few copies, where launching plainly is a call for each kernel, a millisecond in which nobody polls.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial

from dvabatch.batching.place import Place
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.device_tracks import Track
from dvabatch.runtime.graphs import Graphs
from engines.device import ALIGNMENT, Device, Module, RoomError

_KEPT_FREE = 0.25  # of the device's memory: each graph takes some
# What is prepared runs so often: to be captured, and once as a graph. The first launch of a graph brings it to the device, and
# keeps whoever launches it some 300 us longer than all later ones do (ResNet-152 on an H200).
_RUNS = 2


class Spans:
    """The stages of a model, run on rows of a table."""

    def __init__(self, device: Device, modules: Sequence[Module], table: DeviceTable, graphs: Graphs) -> None:
        self._device = device
        self._modules = modules
        self._table = table
        self._graphs = graphs
        self.capturing = True  # what has no graph yet is captured when it is first run
        self.bytes_bounced = 0  # to a track's own rows and back
        self._aligned: dict[tuple[int, int], bool] = {}
        self._passing: dict[tuple[int, int], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    @property
    def last(self) -> int:
        """The last stage."""
        return len(self._modules) - 1

    @property
    def has_room(self) -> bool:
        """Whether one more `prepare` may capture what it needs."""
        memory = self._device.memory()
        return (
            len(self._graphs) + 2 * len(self._modules) + 1 <= self._graphs.room
            and memory.free_bytes >= _KEPT_FREE * memory.total_bytes
        )

    @property
    def _runs(self) -> int:
        return _RUNS if self._graphs.room else 1

    def prepare(self, track: Track, place: Place, lane: int) -> None:
        """Captures and launches what a batch of this size will need: in place and on the track's own rows."""
        for _ in range(self._runs):
            self.run(track, 0, self.last, place, lane)
            for stage in range(self.last + 1):
                if self.last:
                    self.run(track, stage, stage, place, lane)
        self.prepare_elsewhere(track, place, lane)

    def prepare_elsewhere(self, track: Track, place: Place, lane: int) -> None:
        """Only on the track's own rows."""
        for _ in range(self._runs):
            self._bounce(track, 0, self.last, place, lane)
        track.stream.synchronize()

    def run(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        """Queues a span of stages."""
        graphs = self._graphs
        if not graphs.room and self._is_aligned(place, lane):
            self._in_place(track, first, last, place, lane)
            return
        if place.first_row == 0:
            whole = track.index, first, last, lane, place
            ways = [[whole]]
            if not self.capturing:
                ways.append([(track.index, stage, stage, lane, place) for stage in range(first, last + 1)])
            found = graphs.find_first(*ways)
            if found is not None:
                for graph in found:
                    track.stream.launch(graph)
                return
            if self.capturing:
                self._capture(track, whole, lambda: self._in_place(track, first, last, place, lane))
                return
        self._bounce(track, first, last, place, lane)

    def _capture(self, track: Track, key: Hashable, work: Callable[[], None]) -> None:
        """Does the work plainly, and captures it while the device is at it; without room, what was kept so far has to do."""
        work()
        try:
            self._graphs.add(key, lambda: track.stream.capture(work))
        except RoomError:
            self._graphs.room = len(self._graphs)

    def _in_place(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        table, layout = self._table, self._table.layout
        for stage in range(first, last + 1):
            names = (*layout.reads[stage], *layout.writes[stage])
            self._enqueue(track, stage, {name: table.address(place, lane, name) for name in names}, place.rows, lane)

    def _bounce(self, track: Track, first: int, last: int, place: Place, lane: int) -> None:
        """On the track's own rows, between copies from the place and back."""
        table, layout, stream = self._table, self._table.layout, track.stream
        rows = layout.rows[lane]
        read, written = self._passed(first, last)
        for name in read:
            size = place.rows * rows[name].bytes
            stream.copy(self._own(track, name), table.address(place, lane, name), size)
            self.bytes_bounced += size
        for stage in range(first, last + 1):
            key = track.index, stage, lane, place.rows
            found = self._graphs.find_first([key])
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
            wanted = layout.outputs if last == self.last else layout.alive[last + 1]
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
