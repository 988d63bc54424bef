"""What a queue that never runs dry tells of a device: by how much the launches on it slow each other down.

With some launches always under way, each is for a part of its time with the host or on the line to the device, behind others
maybe, and those that are on the device have more of it meanwhile. So the loop is simulated, with one slowdown after another,
until it takes as long as the one that was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from dvabatch.batching.curve import Curve
from dvabatch.runtime.device_model import FULL, HOST, TRANSFER, DeviceModel

_HALVINGS: Final = 16
_ROUNDS: Final = 12  # of as many launches as are always under way
_AS_LONG: Final = 0.99  # of the measured cycle: what is left tells of noise


def slowdown_at_once(
    cycle_ns: float,
    alone_ns: int,
    count: int,
    fewer: Sequence[tuple[float, float]] = (),
    *,
    host_ns: int = 0,
    transfer_ns: int = 0,
) -> float:
    """Of `count` alike launches that are all on the device; at least that of fewer, at most twice as bad as taking turns.

    A launch comes round every `cycle_ns`: one host has it for `host_ns`, one line for `transfer_ns`, and the device would take
    `alone_ns` for it by itself. `fewer` are (number on the device, slowdown) as known so far, rising. Where the host or the
    line is what takes the time, the loop says nothing of the device: then it is that of fewer.
    """
    known = ((1.0, 1.0), *fewer)
    least, most = known[-1][1], 2.0 * count

    def simulated_ns(slowdown: float) -> float:
        curve = Curve((*known, (float(count), slowdown)))
        return _cycle_ns(curve, count, [(host_ns, HOST), (transfer_ns, TRANSFER), (alone_ns, FULL)])

    if simulated_ns(least) >= _AS_LONG * cycle_ns:
        return least
    low, high = least, most
    for _ in range(_HALVINGS):
        tried = (low + high) / 2
        if simulated_ns(tried) < cycle_ns:
            low = tried
        else:
            high = tried
    return low


def round_ns(ends_ns: Sequence[int] | npt.NDArray[np.int64], count: int) -> float:
    """How long a launch takes to come round where `count` are always under way, by the ends of them all, in any order.

    It is the median from one end to that of the launch `count` later: those that begin together may end together.
    """
    rising_ns = np.sort(ends_ns)
    return float(np.median(rising_ns[count:] - rising_ns[:-count]))


def _cycle_ns(slowdown: Curve, count: int, phases: Sequence[tuple[int, int]]) -> float:
    """The same of a simulated device, whose shares count launches."""
    device = DeviceModel(slowdown.at, one_host=True)
    ends_ns: list[int] = []
    for launch_id in range(count):
        device.start(launch_id, phases, 0)
    while len(ends_ns) < count * _ROUNDS:
        now_ns = device.next_ns
        for launch_id in device.advance(now_ns):
            ends_ns.append(now_ns)
            device.start(launch_id, phases, now_ns)
    return round_ns(ends_ns[len(ends_ns) // 3 :], count)
