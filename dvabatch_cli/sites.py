"""Where launches run: on the host's threads, or on a GPU's streams. A bed asks its site for a driver and for what it starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from dvabatch.batching.machine import Machine
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.driver import Driver, Observer, Starter
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.polling import PollingDriver
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch.runtime.trace import Recorder
from engines.base import Array, StageEngine
from engines.priority import going_first

Payload = Callable[[int], Mapping[str, Array]]
# How long a thread that computes in Python may keep the interpreter. Short looks better and is worse: the driver, forced to
# hand it over, then waits until the other thread has had its turn on a core that the engines fill.
_SWITCH_INTERVAL_S = 5e-3


class Site(Protocol):
    """Stages that are open, and the memory of their buffer sets."""

    def driver(self, machine: Machine, observer: Observer, recorder: Recorder | None = None) -> Driver[Any]:
        """A driver for one run."""

    def starter(
        self, driver: Driver[Any], payload: Payload, pads: Mapping[str, float]
    ) -> AbstractContextManager[Starter]:
        """What starts that run's launches; when the block is left, nothing of it runs any more."""

    @property
    def rehearses(self) -> bool:
        """Whether a run is gone through once before it is measured."""

    def settle(self) -> None:
        """What comes now is measured."""

    def facts(self) -> dict[str, int]:
        """What was counted since `settle`, beside what the driver counts."""


class HostSite:
    """Engines that block, a worker thread for each launch in flight."""

    def __init__(self, stages: Sequence[StageEngine], table: TensorTable) -> None:
        self._stages = stages
        self._table = table

    def driver(self, machine: Machine, observer: Observer, recorder: Recorder | None = None) -> ThreadedDriver:
        return ThreadedDriver(machine, self._table, observer, recorder=recorder)

    @contextmanager
    def starter(self, driver: Driver[Starter], payload: Payload, pads: Mapping[str, float]) -> Iterator[Launcher]:
        launcher = Launcher(self._stages, self._table, payload, pads, driver.post)
        try:
            with _switch_interval(), going_first():
                yield launcher
        finally:
            launcher.close()

    rehearses = False

    def settle(self) -> None:
        """Nothing is counted here."""

    def facts(self) -> dict[str, int]:
        return {}


class GpuSite:
    """Engines that run asynchronously: the driver's own thread polls them.

    It keeps its normal priority: a real-time thread that never sleeps is stopped by Linux for 50 ms of every second.
    """

    def __init__(self, launcher: DeviceLauncher, table: DeviceTable) -> None:
        self._launcher = launcher
        self._table = table

    def driver(self, machine: Machine, observer: Observer, recorder: Recorder | None = None) -> PollingDriver:
        return PollingDriver(machine, self._table, observer, recorder=recorder)

    @contextmanager
    def starter(
        self, driver: Driver[DeviceLauncher], payload: Payload, pads: Mapping[str, float]
    ) -> Iterator[DeviceLauncher]:
        self._launcher.serve(payload, pads)
        with _switch_interval():
            yield self._launcher

    rehearses = True

    def settle(self) -> None:
        """Graphs are captured in the rehearsal: a capture takes milliseconds, in which nobody polls."""
        self._launcher.graphs.forget_counts()
        self._launcher.bytes_bounced = 0
        self._launcher.capturing = False

    def facts(self) -> dict[str, int]:
        graphs = self._launcher.graphs
        self._launcher.capturing = True
        return {
            "hits": graphs.hits,
            "misses": graphs.misses,
            "kept": len(graphs),
            "bytes_bounced": self._launcher.bytes_bounced,
        }


@contextmanager
def _switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
