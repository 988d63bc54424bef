"""Carries launches out on engines that block: stage after stage, in place, and one event at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFailed, LaunchFinished
from dvabatch.batching.place import Place
from dvabatch.runtime.faults import Fate, Faults
from dvabatch.runtime.padding import PayloadError, fill_row
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.workers import Workers
from engines.base import Array, StageEngine
from engines.cores import own_cores
from engines.errors import EngineError

_MOST_PREPARED = 8192  # some hundred bytes each


class Launcher:
    """A worker for each launch in flight. Every launch ends in exactly one event, whatever the engine does, or is given up.

    The engine of a stage serves all its executors at once. So the executor that takes over from one that hangs is a fresh
    thread on the same engine.
    """

    def __init__(
        self,
        stages: Sequence[StageEngine],
        table: TensorTable,
        payload: Callable[[int], Mapping[str, Array] | None],
        pads: Mapping[str, float],
        report: Callable[[Event], None],
        faults: Faults | None = None,
    ) -> None:
        """`payload(query_id)` gives a query's inputs, one row each, unpadded, or None if it was cancelled meanwhile; `pads`
        what fills their rows up; `faults` what befalls launches on purpose."""
        self._stages = stages
        self._table = table
        self._payload = payload
        self._pads = pads
        self._report = report
        self._faults = faults
        self._workers = Workers("launch", own_cores() if all(stage.one_core for stage in stages) else ())
        self._lock = threading.Lock()
        self._prepared: dict[tuple[int, int, Place], Callable[[], None]] = {}
        # By launch, those that are queued behind another included: the thread that runs it, once one does.
        self._under_way: dict[int, threading.Thread | None] = {}
        self._queued: dict[int, Launch] = {}  # by the launch that each waits for
        self._lost_sets: set[int] = set()  # what hangs may still write there
        self._closing = threading.Event()

    def start(self, launch: Launch) -> None:
        """Runs a launch on a worker, or behind the launch that it names."""
        with self._lock:
            self._under_way[launch.id] = None
            if launch.after is not None and launch.after in self._under_way:
                self._queued[launch.after] = launch
                return
        self._workers.submit(lambda: self._work(launch))

    def give_up(self, launch: Launch) -> bool:
        with self._lock:
            if launch.id not in self._under_way:
                return False
            thread = self._under_way.pop(launch.id)
            behind = self._queued.pop(launch.id, None)
            if behind is not None:
                del self._under_way[behind.id]
            self._lost_sets.add(launch.place.buffer_set)
        if thread is not None:
            self._workers.abandon(thread)
        return True

    def close(self) -> None:
        """Waits for what runs. If something hangs, the memory that it may write to is left to it."""
        self._closing.set()
        if not self._workers.close():
            for buffer_set in self._lost_sets:
                self._table.forsake(buffer_set)

    def _work(self, launch: Launch) -> None:
        following: Launch | None = launch
        while following is not None:
            launch = following
            with self._lock:
                if launch.id not in self._under_way:
                    return  # it was given up before a thread came to it
                self._under_way[launch.id] = threading.current_thread()
            event = self._run(launch)
            with self._lock:
                if launch.id not in self._under_way:
                    return  # too late
                del self._under_way[launch.id]
                following = self._queued.pop(launch.id, None)
            self._report(event)

    def _run(self, launch: Launch) -> Event:
        """All of Python's work comes first. A thread that has computed for long is due to be preempted, and one that is
        preempted while it holds the interpreter stops the driver, and all others, for the system's time slice.
        """
        finished = LaunchFinished(launch.id)
        try:
            runs = [self._bound(stage, launch) for stage in range(launch.first_stage, launch.last_stage + 1)]
            if launch.first_stage == 0:
                self._fill(launch)
            fate = None if self._faults is None else self._faults.take(launch.id)
            if fate is None:
                for run in runs:
                    run()
            else:
                self._suffer(fate, launch.first_stage, runs)
        except (EngineError, PayloadError) as error:
            return LaunchFailed(launch.id, str(error))
        except Exception as error:  # noqa: BLE001 -- an engine's defect fails its own queries, with its name, and nobody else's
            return LaunchFailed(launch.id, f"{type(error).__name__}: {error}")
        return finished

    def _suffer(self, fate: Fate, first_stage: int, runs: Sequence[Callable[[], None]]) -> None:
        """Runs the stages of a launch that something befalls. What hangs does so until the run is over, and writes nothing."""
        for stage, run in enumerate(runs, first_stage):
            if fate.hangs and stage == fate.ends_at:
                self._closing.wait()
                raise EngineError("hung until the run was over")
            began_s = time.perf_counter()
            run()
            self._closing.wait((fate.factor(stage) - 1) * (time.perf_counter() - began_s))
            if stage == fate.ends_at:
                raise EngineError(fate.reason)

    def _bound(self, stage: int, launch: Launch) -> Callable[[], None]:
        """A stage on the launch's rows. The same places come again and again, so what was prepared for them is kept."""
        key = stage, launch.lane, launch.place
        run = self._prepared.get(key)
        if run is None:
            layout = self._table.layout
            inputs = self._table.rows(launch.place, launch.lane, layout.reads[stage])
            outputs = self._table.rows(launch.place, launch.lane, layout.writes[stage])
            if len(self._prepared) >= _MOST_PREPARED:
                self._prepared.clear()
            run = self._prepared[key] = self._stages[stage].bind(inputs, outputs)
        return run

    def _fill(self, launch: Launch) -> None:
        rows = self._table.rows(launch.place, launch.lane, self._table.layout.inputs)
        for row, query_id in enumerate(launch.query_ids):
            payload = self._payload(query_id)
            for name, room in rows.items():
                if payload is None:
                    room[row] = 0
                    continue
                fill_row(room[row], payload[name], self._pads.get(name, 0), name)
