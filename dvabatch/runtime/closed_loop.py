"""What a queue that never runs dry tells of a device: by how much the launches on it slow each other down.

With some launches always under way, each is for a part of its time with the host or on the line to the device, and those that
are on the device have more of it meanwhile. What they lose there is therefore more than what the loop as a whole loses.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Final

from dvabatch.batching.curve import Curve

_HALVINGS: Final = 50


def slowdown_at_once(
    cycle_ns: float, ahead_ns: float, alone_ns: float, count: int, fewer: Sequence[tuple[float, float]] = ()
) -> float:
    """Of `count` alike launches that are all on the device; at least that of fewer, at most twice as bad as taking turns.

    A launch comes round every `cycle_ns`: `ahead_ns` before it is on the device, where it would take `alone_ns` by itself.
    `fewer` are (number on the device, slowdown) as known so far, rising. Each of the others is taken to be there for the same
    part of the time, whatever the rest do.
    """
    known = ((1.0, 1.0), *fewer)
    least, most = known[-1][1], 2.0 * count
    on_device_ns = max(cycle_ns - ahead_ns, alone_ns)
    there = on_device_ns / max(cycle_ns, on_device_ns)
    odds = [comb(count - 1, k) * there**k * (1 - there) ** (count - 1 - k) for k in range(count)]
    speed = alone_ns / on_device_ns
    for _ in range(_HALVINGS):
        tried = (least + most) / 2
        curve = Curve((*known, (float(count), tried)))
        if sum(odd / curve.at(1 + k) for k, odd in enumerate(odds)) > speed:
            least = tried
        else:
            most = tried
    return least
