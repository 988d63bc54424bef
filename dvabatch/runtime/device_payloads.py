"""Payloads that come again: where page-locked ones lie, and how others look in their rows, known by the mappings they are.

A pool gives the same mappings again and again. To look at each of them anew and fill its row up keeps the one thread longer
than a small network does the device. What nobody can change is looked at once, for each lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from dvabatch.runtime.padding import fill_row, narrowed
from dvabatch.runtime.shapes import RowSpec
from engines.base import Array

_MOST = 1 << 15  # payloads: those of a pool at every length
_MOST_BYTES = 1 << 12  # of a row that is kept: 128 MiB of them at the most, of each input in each lane


class KnownPayloads:
    """Those of one lane. A payload is known by where each input of it is found: the address of page-locked memory, or, below
    0, `~number` of the row that is kept of it."""

    def __init__(
        self, rows: Mapping[str, RowSpec], pinned_at: Callable[[Array], int | None], pads: Mapping[str, float]
    ) -> None:
        """`rows` is what the device takes of each input, `pinned_at` where a page-locked array lies, `pads` what fills up."""
        self._specs = rows
        self._names = list(rows)
        self._pinned_at = pinned_at
        self._pads = pads
        # The mappings are kept with their places: no other ever has their ids.
        self._known: dict[int, tuple[Mapping[str, Array], list[int]]] = {}
        self._kept: dict[str, Array] = {}  # whole rows, by number: memory that nobody has touched takes no room

    def make_room(self, payloads: int) -> None:
        """Forgets all of them if so many more might not find room: what `places` has said holds until then."""
        if len(self._known) + payloads > _MOST:
            self._known.clear()

    def places(self, payload: Mapping[str, Array]) -> list[int] | None:
        """Where each input of it is found; None of one that somebody may change, is too large to be kept, or finds no room.

        Raises:
            PayloadError: one does not fit its row.
        """
        known = self._known.get(id(payload))
        return self._learnt(payload) if known is None else known[1]

    def kept(self, name: str) -> Array:
        """The rows that are kept of an input, by number."""
        rows = self._kept.get(name)
        if rows is None:
            spec = self._specs[name]
            rows = self._kept[name] = np.empty((_MOST, *spec.shape), spec.dtype)
        return rows

    def _learnt(self, payload: Mapping[str, Array]) -> list[int] | None:
        if type(payload) is not MappingProxyType or len(self._known) >= _MOST:
            return None
        addresses = [self.address(name, payload[name]) for name in self._names]
        for name, address in zip(self._names, addresses, strict=True):
            if address is None and (self._specs[name].bytes > _MOST_BYTES or payload[name].flags.writeable):
                return None
        number = len(self._known)
        places = []
        for name, address in zip(self._names, addresses, strict=True):
            if address is None:
                self.fill(self.kept(name)[number], payload[name], name)
            places.append(~number if address is None else address)
        self._known[id(payload)] = payload, places
        return places

    def address(self, name: str, value: Array) -> int | None:
        """Of a page-locked payload that is a row as it lies there; None if it is to be staged."""
        spec = self._specs[name]
        return self._pinned_at(value) if value.shape == spec.shape and value.dtype == spec.dtype else None

    def fill(self, row: Array, value: Array, name: str) -> None:
        """Lays a payload in a row, of the device's type and filled up.

        Raises:
            PayloadError: it does not fit.
        """
        fill_row(row, narrowed(value, row.dtype, name), self._pads.get(name, 0), name)
