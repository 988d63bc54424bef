"""Brings payloads to a device's rows and answers back, beside what the device computes.

They have streams of their own, so that what lies on a track before them, or may come behind, does not wait. Where nothing lies
there, or a transfer is over before another stream would have heard of it, the track's own stream is the shorter way.
Page-locked payloads go from where they lie, neighbours at one call. Others go by way of the place's host rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import numpy as np

from dvabatch.batching.commands import Launch
from dvabatch.runtime.device_payloads import KnownPayloads
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.device_tracks import Track
from dvabatch.runtime.padding import PayloadError
from engines.base import Array
from engines.device import Device, Event, Stream

_BRIEF_BYTES = 1 << 18  # of answers: ten microseconds at 26 GB/s, little beside an event and a wait between two streams


class Transfers:
    """All that passes between host and device."""

    def __init__(self, device: Device, table: DeviceTable) -> None:
        self._device = device
        self._table = table
        self._stream, self._uploaded = device.stream(), device.event()
        self._pinned: list[tuple[int, int, Array]] = []  # page-locked payloads: first byte, behind the last, the memory
        self._known: dict[int, KnownPayloads] = {}  # by lane
        self._payload: Callable[[int], Mapping[str, Array] | None] = lambda _: None
        self._pads: Mapping[str, float] = {}

    def serve(self, payload: Callable[[int], Mapping[str, Array] | None], pads: Mapping[str, float]) -> None:
        """`payload(query_id)` gives a query's inputs, one row each, unpadded, or None if it was cancelled meanwhile; `pads`
        what fills their rows up."""
        if pads != self._pads:
            self._known.clear()
        self._payload, self._pads = payload, pads

    def pin(self, array: Array) -> Array:
        """A page-locked copy: rows of it are uploaded from where they lie."""
        room = self._device.pinned(array.nbytes)
        pinned = room.view(array.dtype).reshape(array.shape)
        pinned[...] = array
        first = _address(room)
        self._pinned.append((first, first + room.nbytes, room))
        self._known.clear()  # what was kept in rows so far may be page-locked now
        return pinned

    def know(self, payloads: Iterable[tuple[Mapping[str, Array], int]], pads: Mapping[str, float]) -> None:
        """Looks at what may come, each in batches of a lane, before it does; `pads` as they will be served with."""
        self.serve(self._payload, pads)
        for payload, lane in payloads:
            with suppress(PayloadError):  # the launch that has it will say so
                self._known_of(lane).places(payload)

    def upload(self, launch: Launch, track: Track) -> None:
        """Queues the payloads of a launch; what comes on its track waits for them.

        Raises:
            PayloadError: one does not fit its row.
        """
        stream = self._stream if track.flights else track.stream
        self._table.settle(stream)
        payloads = [self._payload(query_id) for query_id in launch.query_ids]
        known = self._known_of(launch.lane)
        known.make_room(len(payloads))
        found = [None if payload is None else known.places(payload) for payload in payloads]
        for index, name in enumerate(self._table.layout.inputs):
            self._upload(stream, launch, index, name, known, found, payloads)
        if track.flights:
            self.seal(track)

    def seal(self, track: Track) -> None:
        """The track goes on only when nothing uploaded so far writes to a row any more."""
        self._stream.record(self._uploaded)
        track.stream.wait(self._uploaded)

    def download(self, launch: Launch, track: Track, done: Event) -> None:
        """Queues the answers; `done` tells of their end."""
        answers = self._table.rows(launch.place, launch.lane, self._table.layout.outputs)
        stream = track.stream
        if sum([rows.nbytes for rows in answers.values()]) > _BRIEF_BYTES:
            stream.record(done)
            stream = track.answers
            stream.wait(done)
        for name, rows in answers.items():
            stream.download(rows, self._table.address(launch.place, launch.lane, name))
        stream.record(done)

    def _upload(
        self,
        stream: Stream,
        launch: Launch,
        index: int,
        name: str,
        known: KnownPayloads,
        found: list[list[int] | None],
        payloads: list[Mapping[str, Array] | None],
    ) -> None:
        """Queues one input, number `index`: neighbours at one call. `found` is where known payloads are."""
        table, place, lane = self._table, launch.place, launch.lane
        target, row_bytes = table.address(place, lane, name), table.layout.rows[lane][name].bytes
        staged: Array | None = None
        staged_at, numbers = 0, [-1 if places is None else ~places[index] for places in found]
        if min(numbers) >= 0:  # all of them are kept
            staged = table.rows(place, lane, (name,))[name]
            np.take(known.kept(name), numbers, axis=0, out=staged, mode="clip")
            stream.upload(target, staged.reshape(-1).view(np.uint8))
            return
        was_staged = False
        first, source, behind = 0, 0, 0  # a run of rows: where it begins, where it comes from and ends there
        for row, (places, payload) in enumerate(zip(found, payloads, strict=True)):
            address: int | None = None
            if places is None:
                address = None if payload is None else known.address(name, payload[name])
            elif places[index] >= 0:
                address = places[index]
            is_staged = address is None
            if address is None:
                if staged is None:
                    staged = table.rows(place, lane, (name,))[name]
                    staged_at = _address(staged)
                if payload is None:
                    staged[row] = 0  # nobody waits for the answer any more
                elif places is None:
                    known.fill(staged[row], payload[name], name)
                else:
                    staged[row] = known.kept(name)[~places[index]]
                address = staged_at + row * row_bytes
            # Staged rows never follow page-locked payloads: they are other memory, wherever that lies.
            if row == 0 or address != behind or is_staged != was_staged:
                if row:
                    stream.upload(target + first * row_bytes, self._bytes_at(source, behind, staged))
                first, source = row, address
            behind = address + row_bytes
            was_staged = is_staged
        stream.upload(target + first * row_bytes, self._bytes_at(source, behind, staged))

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
        pinned = any(start <= address and address + value.nbytes <= end for start, end, _ in self._pinned)
        return address if pinned else None

    def _known_of(self, lane: int) -> KnownPayloads:
        known = self._known.get(lane)
        if known is None:
            rows = self._table.layout.rows[lane]
            inputs = {name: rows[name] for name in self._table.layout.inputs}
            known = self._known[lane] = KnownPayloads(inputs, self._pinned_at, self._pads)
        return known


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
