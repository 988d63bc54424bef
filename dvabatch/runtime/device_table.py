"""The tensor table on a device: the buffer sets' rows in its memory, and the host's rows beside them.

As on the host, a set holds `max_batch` rows of every tensor, taken when the set is first used and shared by all lanes. What
comes from the host or goes back to it has page-locked rows there too, at the same places: who owns a place owns both.
"""

from __future__ import annotations

from dvabatch.batching.commands import Copy
from dvabatch.batching.place import Place
from dvabatch.runtime.shapes import Layout
from engines.base import Array
from engines.device import Device, DeviceError, Event, Stream
from engines.errors import EngineError


class DeviceTable:
    """Addresses by (place, lane, tensor)."""

    def __init__(self, device: Device, layout: Layout, sets: int, max_batch: int) -> None:
        self.layout = layout
        self.max_batch = max_batch
        self._device = device
        self._memory: list[dict[str, int]] = [{} for _ in range(sets)]
        self._host: dict[tuple[int, str], Array] = {}
        self._views: dict[tuple[int, int, str], Array] = {}
        self._moving = device.stream()
        self._moved: Event = device.event()
        self._is_moving = False
        self._failed: DeviceError | None = None

    def address(self, place: Place, lane: int, name: str) -> int:
        """Where the rows of a place begin, in this tensor."""
        memory = self._memory[place.buffer_set]
        base = memory.get(name)
        if base is None:
            what = f"{self.max_batch} rows of {name!r} in buffer set {place.buffer_set}"
            base = memory[name] = self._device.allocate(self.bytes_of(name) * self.max_batch, what)
        return base + place.first_row * self.layout.rows[lane][name].bytes

    @property
    def sets(self) -> int:
        """How many buffer sets there are."""
        return len(self._memory)

    def bytes_of(self, name: str) -> int:
        """Bytes per row in the widest lane."""
        return max(lane[name].bytes for lane in self.layout.rows)

    def rows(self, place: Place, lane: int, names: tuple[str, ...]) -> dict[str, Array]:
        """The host's rows of a place in these tensors, as views `[rows, ...]`."""
        return {name: self._view(place.buffer_set, lane, name)[place.first_row : place.end_row] for name in names}

    def copy(self, command: Copy) -> int:
        """Moves what is alive at the boundary; answers with the bytes moved. What is launched later waits for it, and fails
        where rows could not be moved."""
        moved = 0
        try:
            for name in self.layout.alive[command.stage]:
                size = command.source.rows * self.layout.rows[command.lane][name].bytes
                target = self.address(command.target, command.lane, name)
                self._moving.copy(target, self.address(command.source, command.lane, name), size)
                moved += size
            self._moving.record(self._moved)
        except EngineError as error:
            self._failed = DeviceError(f"rows could not be moved: {error}")
        self._is_moving = True
        return moved

    def settle(self, stream: Stream) -> None:
        """What follows on `stream` finds every row where commands have moved it.

        Raises:
            DeviceError: a row is not there, and whoever reads it would answer with another's.
        """
        if self._failed is not None:
            raise self._failed
        if self._is_moving:
            if self._moved.query():
                self._is_moving = False
            else:
                stream.wait(self._moved)

    def finish_copies(self) -> None:
        """Waits until all rows have moved."""
        self._moving.synchronize()

    def _view(self, buffer_set: int, lane: int, name: str) -> Array:
        view = self._views.get((buffer_set, lane, name))
        if view is None:
            spec = self.layout.rows[lane][name]
            room = self._host.get((buffer_set, name))
            if room is None:
                room = self._host[buffer_set, name] = self._device.pinned(self.bytes_of(name) * self.max_batch)
            flat = room[: spec.bytes * self.max_batch].view(spec.dtype)
            view = self._views[buffer_set, lane, name] = flat.reshape(self.max_batch, *spec.shape)
        return view
