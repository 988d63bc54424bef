"""What launches that share a device tell of it: by how much they slow each other down.

With a queue that never runs dry some launches are always under way, each begun as another one ends (a closed loop): that tells
how many are served at best. It does not tell how they fare in a run. Launches that follow each other so fall into step, one
finding in the device's cache what another has just brought there, or waiting at the same kernels (why is not proven). Simulated
by such slowdowns, runs on an H200 came out too fast by a tenth and more wherever launches met. So what is measured are launches
that begin at random (an open loop), and what is sought is the slowdown with which a simulated device answers them as late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dvabatch.batching.curve import Curve
from dvabatch.runtime.device_model import ANSWER, FULL, HOST, TRANSFER, DeviceModel
from dvabatch.runtime.instants import NEVER

_HALVINGS: Final = 14
_SLOWEST_LEFT_OUT: Final = 20  # one in so many: what the host was doing meanwhile, and not the device


class Alike(NamedTuple):
    """Launches that are all alike, in nanoseconds of each."""

    alone_ns: int  # on the device, by itself
    host_ns: int = 0  # of the one thread that does the host's part of all of them
    transfer_ns: int = 0  # on the one line to the device
    wake_ns: int = 0  # what the host takes longer where it was at rest
    answer_ns: int = 0  # of the device, to begin and to be heard of: others go on meanwhile


class Series(NamedTuple):
    """Launches that came at these instants, from an idle device on."""

    arrivals_ns: Sequence[int]
    alike: Alike


def random_arrivals_ns(count: int, gap_ns: float, seed: int) -> list[int]:
    """So many instants, from 0, independent of each other and `gap_ns` apart on average.

    The gaps are the quantiles of their distribution, shuffled: few of them have its mean and its tail.
    """
    quantiles = (np.arange(count - 1) + 0.5) / (count - 1)
    gaps_ns = -np.log1p(-quantiles)
    gaps_ns *= gap_ns / gaps_ns.mean()
    np.random.default_rng(seed).shuffle(gaps_ns)
    return [0, *np.cumsum(gaps_ns).astype(np.int64).tolist()]


def usual_ns(took_ns: Sequence[int] | npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> float:
    """Mean, but for the slowest."""
    rising = np.sort(np.asarray(took_ns))
    return float(rising[: len(rising) - len(rising) // _SLOWEST_LEFT_OUT].mean())


def slowdown_at_once(
    measured_ns: float, series: Sequence[Series], count: int, fewer: Sequence[tuple[float, float]] = ()
) -> float:
    """Of `count` launches that are all on the device; at least that of fewer, at most twice as bad as taking turns.

    Launches of all `series` were served in the order of their arrival, at most `count` at a time, and took `measured_ns` by
    `usual_ns`. `fewer` are (number on the device, slowdown) as known so far, rising. Where the host or the line is what takes
    the time, they say nothing of the device: then it is that of fewer.
    """
    known = ((1.0, 1.0), *fewer)
    low, high = known[-1][1], 2.0 * count

    def simulated_ns(slowdown: float) -> float:
        curve = Curve((*known, (float(count), slowdown)))
        return usual_ns([ns for each in series for ns in responses_ns(curve.at, each.arrivals_ns, each.alike, count)])

    if simulated_ns(low) >= measured_ns:
        return low
    for _ in range(_HALVINGS):
        tried = (low + high) / 2
        if simulated_ns(tried) < measured_ns:
            low = tried
        else:
            high = tried
    return low


def responses_ns(slowdown: Callable[[float], float], arrivals_ns: Sequence[int], alike: Alike, count: int) -> list[int]:
    """What each launch takes from its arrival on a simulated device, where at most `count` are under way."""
    device = DeviceModel(slowdown, one_host=True)
    spent_ns = [0] * len(arrivals_ns)
    waiting: deque[int] = deque()
    ended: list[int] = []  # while the thread was busy
    came = left = 0
    while left < len(arrivals_ns):
        free_ns = device.host_free_ns
        arrival_ns = arrivals_ns[came] if came < len(arrivals_ns) else NEVER
        now_ns = min(device.next_ns, max(arrival_ns, free_ns))
        ended += device.advance(now_ns)
        if now_ns < free_ns:
            continue
        rested = not ended and now_ns > free_ns
        for launch_id in ended:
            spent_ns[launch_id] = now_ns - arrivals_ns[launch_id]
        left += len(ended)
        ended.clear()
        while came < len(arrivals_ns) and arrivals_ns[came] <= now_ns:
            waiting.append(came)
            came += 1
        while waiting and device.under_way < count:
            wake_ns, rested = alike.wake_ns if rested else 0, False
            phases = (
                (alike.host_ns + wake_ns, HOST),
                (alike.answer_ns, ANSWER),
                (alike.transfer_ns, TRANSFER),
                (alike.alone_ns, FULL),
            )
            device.start(waiting.popleft(), phases, now_ns)
    return spent_ns


def round_ns(ends_ns: Sequence[int] | npt.NDArray[np.int64], count: int) -> float:
    """How long a launch takes to come round where `count` are always under way, by the ends of them all, in any order.

    It is the median from one end to that of the launch `count` later: those that begin together may end together.
    """
    rising_ns = np.sort(ends_ns)
    return float(np.median(rising_ns[count:] - rising_ns[:-count]))
