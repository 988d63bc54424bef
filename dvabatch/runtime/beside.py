"""Two batches beside each other on two threads: by how much they slow each other down.

They are kept as far apart as they were put. By themselves they fall into step, since one finds in the caches what the other has
just read, and goes ahead; and in step they slow each other down by less than the batches of a run do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

from dvabatch.batching.place import Place
from dvabatch.runtime.stage_runs import StageRuns
from engines.cores import stay_on


def slowdown_of_two(runs: StageRuns, lane: int, size: int, rounds: int, turns: int, cores: Sequence[int] = ()) -> float:
    """By how much two batches of this size slow each other down, at whatever stages they are; in the first two buffer sets."""
    places = [Place(index, 0, size) for index in (0, 1)]
    for place in places:
        runs.fill(place, lane)
    return slowdown_beside(
        lambda batch, stage: runs.timed_ns(stage, places[batch], lane), len(runs), rounds, turns, cores
    )


def slowdown_beside(
    timed_ns: Callable[[int, int], int], stages: int, rounds: int, turns: int, cores: Sequence[int] = ()
) -> float:
    """Time together over time alone, a mean over `turns` at every distance, from the same stage to the last one apart.

    `timed_ns(batch, stage)` runs a stage of batch 0 or 1 on the calling thread, and says how long it took. What it raises
    comes out of here. Of two or more `cores` each batch stays on its own.
    """
    meeting = Barrier(2)

    def run(batch: int, first: int, together: bool) -> int:
        took_ns = 0
        if len(cores) > 1:
            stay_on(cores[batch])
        try:
            for step in range(rounds * stages):
                if together:
                    meeting.wait()
                took_ns += timed_ns(batch, (first + step) % stages)
        except BaseException:
            meeting.abort()  # the other would wait for ever
            raise
        return took_ns

    slowed = []
    with ThreadPoolExecutor(2) as threads:
        for _ in range(turns):
            for apart in range(stages):
                alone_ns = sum(threads.submit(run, batch, 0, False).result() for batch in (0, 1))
                both = [threads.submit(run, batch, batch * apart, True) for batch in (0, 1)]
                errors = [error for each in both if (error := each.exception()) is not None]
                # That its barrier broke is all that the other one knows.
                for error in sorted(errors, key=lambda each: isinstance(each, BrokenBarrierError)):
                    raise error
                slowed.append(sum(each.result() for each in both) / alone_ns)
    return sum(slowed) / len(slowed)
