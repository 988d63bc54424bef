"""Where launches run: on the host's threads, or on a GPU's streams. A bed asks its site for a driver and for what it starts."""

from __future__ import annotations

import gc
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.runtime.beside import slowdown_of_two
from dvabatch.runtime.device_faults import FaultyDevice
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.driver import Driver, Observer, Rows, Starter
from dvabatch.runtime.faults import Faults
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.polling import Pollable, PollingDriver
from dvabatch.runtime.stage_runs import StageRuns
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from dvabatch.runtime.trace import Listener
from engines.base import Array, StageEngine
from engines.cores import own_cores
from engines.device import DeviceError
from engines.priority import going_first

Payload = Callable[[int], Mapping[str, Array]]
_S = TypeVar("_S", bound=Starter)
# How long a thread that computes in Python may keep the interpreter. Short looks better and is worse: the driver, forced to
# hand it over, then waits until the other thread has had its turn on a core that the engines fill.
_SWITCH_INTERVAL_S = 5e-3
_PROBED_S = 0.4  # how long at the least two launches run beside each other, to tell by how much they are disturbed


class Site(ABC, Generic[_S]):
    """Stages that are open, and the memory of their buffer sets."""

    def __init__(self, driving: type[Driver[_S]], table: Rows) -> None:
        """`driving` is the kind of driver that these stages take."""
        self._driving = driving
        self._table = table

    def driver(
        self,
        machine: Machine,
        observer: Observer,
        listener: Listener | None = None,
        timeout_ns: int | None = None,
        faults: Faults | None = None,
    ) -> Driver[_S]:
        """A driver for one run."""
        return self._driving(machine, self._table, observer, listener=listener, timeout_ns=timeout_ns, faults=faults)

    @abstractmethod
    def starter(
        self, driver: Driver[_S], payload: Payload, pads: Mapping[str, float], faults: Faults | None = None
    ) -> AbstractContextManager[_S]:
        """What starts that run's launches; when the block is left, nothing of it runs any more, but for what hangs."""

    def know(self, payloads: Iterable[tuple[Mapping[str, Array], int | None]], pads: Mapping[str, float]) -> None:
        """Queries of the next run will bring these, each with its length: none is to be looked at for the first time then."""

    def settle(self) -> None:
        """What comes now is measured."""

    def disturbance(self) -> float | None:
        """By how much two launches disturb each other now, over what the profile says; None where nobody can tell."""
        return None

    def facts(self) -> dict[str, int]:
        """What was counted since `settle`, beside what the driver counts."""
        return {}


class HostSite(Site[Starter]):
    """Engines that block, a worker thread for each launch in flight."""

    def __init__(
        self,
        stages: Sequence[StageEngine],
        table: TensorTable,
        examples: Sequence[Mapping[str, Array]],
        limits: Limits,
        profile: Profile,
    ) -> None:
        """`examples[lane]` is an input batch of 1, as long as its lane."""
        super().__init__(ThreadedDriver, table)
        self._stages = stages
        self._tensors = table
        self._examples = examples
        self._limits = limits
        self._profile = profile

    @contextmanager
    def starter(
        self, driver: Driver[Starter], payload: Payload, pads: Mapping[str, float], faults: Faults | None = None
    ) -> Iterator[Starter]:
        launcher = Launcher(self._stages, self._tensors, payload, pads, driver.post, faults)
        try:
            with undisturbed(), going_first():
                yield launcher
        finally:
            launcher.close()

    def disturbance(self) -> float | None:
        limits, lane = self._limits, len(self._limits.lanes) // 2
        if min(limits.executors_per_stage, limits.buffer_sets) < 2:
            return None
        cores = own_cores() if all(stage.one_core for stage in self._stages) else ()
        if len(cores) == 1:
            return None
        stages = len(self._stages)
        once_s = self._profile.span_ns(0, stages - 1, 1, lane) / 1e9
        rounds = max(2, math.ceil(_PROBED_S / (3 * stages * once_s)))
        runs = StageRuns(self._stages, self._tensors, self._examples)
        found = slowdown_of_two(runs, lane, 1, rounds, 1, cores)
        return max(1.0, found) / max(1.0, 2 * self._profile.share(0, 1, lane))


class GpuSite(Site[Pollable]):
    """Engines that run asynchronously: the driver's own thread polls them.

    It keeps its normal priority: a real-time thread that never sleeps is stopped by Linux for 50 ms of every second.
    """

    def __init__(self, launcher: DeviceLauncher, table: DeviceTable, profile: Profile) -> None:
        super().__init__(PollingDriver, table)
        self._launcher = launcher
        self._profile = profile

    @contextmanager
    def starter(
        self, driver: Driver[Pollable], payload: Payload, pads: Mapping[str, float], faults: Faults | None = None
    ) -> Iterator[Pollable]:
        launcher = self._launcher
        launcher.serve(payload, pads)
        with undisturbed():
            yield launcher if faults is None else FaultyDevice(launcher, faults, self._profile, driver.now_ns)
        launcher.drain()
        if launcher.lost is not None:
            raise DeviceError(
                f"the GPU was lost: {launcher.lost}; what was measured before is kept: see `nvidia-smi` and the system's log, "
                "then go on with --resume"
            )

    def know(self, payloads: Iterable[tuple[Mapping[str, Array], int | None]], pads: Mapping[str, float]) -> None:
        lanes = self._profile.lanes
        in_lanes = (
            (payload, lane)
            for payload, length in payloads
            for lane, longest in enumerate(lanes)
            if length is None or longest is None or length <= longest
        )
        self._launcher.know(in_lanes, pads)

    def settle(self) -> None:
        self._launcher.graphs.forget_counts()
        self._launcher.spans.bytes_bounced = 0

    def facts(self) -> dict[str, int]:
        graphs = self._launcher.graphs
        return {
            "hits": graphs.hits,
            "misses": graphs.misses,
            "kept": len(graphs),
            "bytes_bounced": self._launcher.spans.bytes_bounced,
        }


@contextmanager
def undisturbed() -> Iterator[None]:
    """The interpreter as a run wants it: no forced hand-overs, and nothing old to look through for garbage.

    A full collection goes through every object that the libraries have made, some hundred thousand: the driver would stand
    still for tens of milliseconds, again and again.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
