"""Carries launches out on engines that block: stage after stage, in place, and one event at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFailed, LaunchFinished
from dvabatch.batching.place import Place
from dvabatch.runtime.padding import PayloadError, fill_row
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.workers import Workers
from engines.base import Array, StageEngine
from engines.errors import EngineError

_MOST_PREPARED = 8192  # some hundred bytes each


class Launcher:
    """A worker for each launch in flight. Every launch ends in exactly one event, whatever the engine does."""

    def __init__(
        self,
        stages: Sequence[StageEngine],
        table: TensorTable,
        payload: Callable[[int], Mapping[str, Array] | None],
        pads: Mapping[str, float],
        report: Callable[[Event], None],
    ) -> None:
        """`payload(query_id)` gives a query's inputs, one row each, unpadded, or None if it was cancelled meanwhile; `pads`
        what fills their rows up."""
        self._stages = stages
        self._table = table
        self._payload = payload
        self._pads = pads
        self._report = report
        self._workers = Workers("launch")
        self._lock = threading.Lock()
        self._prepared: dict[tuple[int, int, Place], Callable[[], None]] = {}
        self._under_way: set[int] = set()  # running, or queued behind another
        self._queued: dict[int, Launch] = {}  # by the launch that each waits for

    def start(self, launch: Launch) -> None:
        """Runs a launch on a worker, or behind the launch that it names."""
        with self._lock:
            self._under_way.add(launch.id)
            if launch.after is not None and launch.after in self._under_way:
                self._queued[launch.after] = launch
                return
        self._workers.submit(lambda: self._work(launch))

    def close(self) -> None:
        self._workers.close()

    def _work(self, launch: Launch | None) -> None:
        while launch is not None:
            event = self._run(launch)
            self._report(event)
            with self._lock:
                self._under_way.remove(launch.id)
                launch = self._queued.pop(launch.id, None)

    def _run(self, launch: Launch) -> Event:
        """All of Python's work comes first. A thread that has computed for long is due to be preempted, and one that is
        preempted while it holds the interpreter stops the driver, and all others, for the system's time slice.
        """
        finished = LaunchFinished(launch.id)
        try:
            runs = [self._bound(stage, launch) for stage in range(launch.first_stage, launch.last_stage + 1)]
            if launch.first_stage == 0:
                self._fill(launch)
            for run in runs:
                run()
        except (EngineError, PayloadError) as error:
            return LaunchFailed(launch.id, str(error))
        except Exception as error:  # noqa: BLE001 -- an engine's defect fails its own queries, with its name, and nobody else's
            return LaunchFailed(launch.id, f"{type(error).__name__}: {error}")
        return finished

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
