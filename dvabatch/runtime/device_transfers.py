"""Brings payloads to a device's rows and answers back, beside what the device computes.

They have streams of their own, so that what lies on a track before them, or may come behind, does not wait. Where nothing lies
there, or a transfer is over before another stream would have heard of it, the track's own stream is the shorter way.
Page-locked payloads go from where they lie, neighbours at one call. Others go by way of the place's host rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dvabatch.batching.commands import Launch
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.device_tracks import Track
from dvabatch.runtime.padding import fill_row, narrowed
from engines.base import Array
from engines.device import Device, Event, Stream

_PAYLOADS = 4096  # whose addresses are kept
_FITTED = 1 << 15  # payloads whose rows are kept as they go to the device: those of a pool at every length
_FITTED_BYTES = 1 << 12  # of a row that is: 128 MiB of them at the most
_BRIEF_BYTES = 1 << 18  # of answers: ten microseconds at 26 GB/s, little beside an event and a wait between two streams


class Transfers:
    """All that passes between host and device."""

    def __init__(self, device: Device, table: DeviceTable) -> None:
        self._device = device
        self._table = table
        self._stream, self._uploaded = device.stream(), device.event()
        self._pinned: list[tuple[int, int, Array]] = []  # page-locked payloads: first byte, behind the last, the memory
        self._addresses: dict[int, tuple[Array, int | None]] = {}  # by id: a pool gives the same arrays again and again
        self._fitted: dict[
            tuple[int, int, str], tuple[Array, Array]
        ] = {}  # by id, lane, input: a payload, and its whole row
        self._payload: Callable[[int], Mapping[str, Array] | None] = lambda _: None
        self._pads: Mapping[str, float] = {}

    def serve(self, payload: Callable[[int], Mapping[str, Array] | None], pads: Mapping[str, float]) -> None:
        """`payload(query_id)` gives a query's inputs, one row each, unpadded, or None if it was cancelled meanwhile; `pads`
        what fills their rows up."""
        if pads != self._pads:
            self._fitted.clear()
        self._payload, self._pads = payload, pads

    def pin(self, array: Array) -> Array:
        """A page-locked copy: rows of it are uploaded from where they lie."""
        room = self._device.pinned(array.nbytes)
        pinned = room.view(array.dtype).reshape(array.shape)
        pinned[...] = array
        first = _address(room)
        self._pinned.append((first, first + room.nbytes, room))
        return pinned

    def upload(self, launch: Launch, track: Track) -> None:
        """Queues the payloads of a launch; what comes on its track waits for them.

        Raises:
            PayloadError: one does not fit its row.
        """
        stream = self._stream if track.flights else track.stream
        self._table.settle(stream)
        payloads = [self._payload(query_id) for query_id in launch.query_ids]
        for name in self._table.layout.inputs:
            self._upload(stream, launch, name, [None if payload is None else payload[name] for payload in payloads])
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

    def _upload(self, stream: Stream, launch: Launch, name: str, values: list[Array | None]) -> None:
        table, place, lane = self._table, launch.place, launch.lane
        spec = table.layout.rows[lane][name]
        target, row_bytes = table.address(place, lane, name), spec.bytes
        staged: Array | None = None
        staged_at, was_staged = 0, False
        first, source, behind = 0, 0, 0  # a run of rows: where it begins, where it comes from and ends there
        for row, value in enumerate(values):
            fits = value is not None and value.shape == spec.shape and value.dtype == spec.dtype
            address = self._pinned_at(value) if fits and value is not None else None
            if address is None:
                if staged is None:
                    staged = table.rows(place, lane, (name,))[name]
                    staged_at = _address(staged)
                self._stage(staged[row], value, lane, name)
                address = staged_at + row * row_bytes
            # Staged rows never follow pinned ones: they are other memory, wherever that lies.
            if row == 0 or address != behind or (address == staged_at + row * row_bytes) != was_staged:
                if row:
                    stream.upload(target + first * row_bytes, self._bytes_at(source, behind, staged))
                first, source = row, address
            behind = address + row_bytes
            was_staged = address == staged_at + row * row_bytes
        stream.upload(target + first * row_bytes, self._bytes_at(source, behind, staged))

    def _stage(self, row: Array, value: Array | None, lane: int, name: str) -> None:
        """A payload in its host row, of the device's type and filled up; zeros where nobody waits for the answer any more.

        A small one that cannot change is fitted once: to fill up every row anew costs more than the device takes for it.
        """
        if value is None:
            row[...] = 0
            return
        key = id(value), lane, name
        known = self._fitted.get(key)
        if known is not None and known[0] is value:
            row[...] = known[1]
            return
        fill_row(row, narrowed(value, row.dtype, name), self._pads.get(name, 0), name)
        if row.nbytes <= _FITTED_BYTES and not value.flags.writeable:
            if len(self._fitted) >= _FITTED:
                self._fitted.clear()
            self._fitted[key] = value, row.copy()

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


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
