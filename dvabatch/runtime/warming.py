"""Before the first query: all that a run on a device needs later is made, so that it stops nobody who polls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dvabatch.batching.limits import Limits
from dvabatch.runtime.device_launcher import DeviceLauncher


def warmed(launcher: DeviceLauncher, limits: Limits) -> Iterator[str]:
    """Captures the graphs of every batch that begins a set, and of every size elsewhere; says how far it is.

    What is captured later stops whoever polls for milliseconds: it is only done where there was no room for all of them. Where
    none are to be captured, what runs without them is made: contexts, and the memory that they work in. A small batch and a
    large one run once, which may have contexts of their own.
    """
    graphs = launcher.graphs
    most = limits.max_batch
    what, sizes = ("capturing graphs", range(1, most + 1)) if graphs.room else ("making contexts", sorted({1, most}))
    sets = range(limits.buffer_sets)
    steps = [(f"set {index + 1} of {limits.buffer_sets}", partial(launcher.prepare, index)) for index in sets] + [
        ("elsewhere", launcher.prepare_more)
    ] * bool(launcher.more_tracks)
    for name, prepare in steps:
        yield f"{what}, {name}"
        for lane in range(len(limits.lanes)):
            for size in sizes:
                if graphs.room and not launcher.spans.has_room:
                    yield f"{len(graphs)} graphs fill the room there is: others take the place of these in the run"
                    graphs.room = len(graphs)
                    return
                prepare(lane, size)
    launcher.spans.capturing = False
