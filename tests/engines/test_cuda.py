"""What becomes of PyCUDA's errors, on a stand-in for it: written by hand, and no more than that."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.cuda import CudaDevice, CudaEvent, CudaStream, first_bus_id, memory_told
from engines.device import DeviceError, RoomError


class CudaError(Exception):
    pass


class Driver:
    """PyCUDA's driver on a GPU that works until it is `broken`."""

    Error = CudaError
    event_flags = SimpleNamespace(DISABLE_TIMING=2)

    def __init__(self) -> None:
        self.broken = False

    def _asked(self, *_: Any) -> None:
        if self.broken:
            raise CudaError("an illegal memory access was encountered")

    memcpy_htod_async = memcpy_dtoh_async = memcpy_dtod_async = _asked

    def Stream(self, flags: int) -> Any:
        self._asked()
        return SimpleNamespace(handle=77, wait_for_event=self._asked, synchronize=self._asked)

    def Event(self, flags: int) -> Any:
        self._asked()
        return SimpleNamespace(query=lambda: self._asked() or True, record=self._asked)

    def init(self) -> None:
        self._asked()

    def Device(self, index: int) -> Any:
        assert index == 0
        return SimpleNamespace(pci_bus_id=lambda: "0000:3B:00.0")

    def mem_get_info(self) -> tuple[int, int]:
        self._asked()
        return 3_000_000, 9_000_000


def bindings(status: int = 0) -> Any:
    """cuda-bindings, whose graphs cannot be instantiated with another `status` than 0."""
    return SimpleNamespace(
        CUstream=int,
        CUstreamCaptureMode=SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1),
        cuStreamBeginCapture=lambda stream, mode: (0,),
        cuStreamEndCapture=lambda stream: (0, "graph"),
        cuGraphInstantiate=lambda graph, flags: (status, "executable"),
        cuGraphDestroy=lambda graph: (0,),
        cuGraphLaunch=lambda executable, stream: (0,),
        cuGraphExecDestroy=lambda executable: (0,),
    )


def device() -> CudaDevice:
    """One whose graphs are not to be destroyed: there is no context."""
    found = CudaDevice()
    found.is_open = False
    return found


@pytest.mark.parametrize(
    "ask",
    [
        lambda stream, event: stream.upload(1, np.zeros(1, np.uint8)),
        lambda stream, event: stream.download(np.zeros(1, np.uint8), 1),
        lambda stream, event: stream.copy(1, 2, 3),
        lambda stream, event: stream.record(event),
        lambda stream, event: stream.wait(event),
        lambda stream, event: stream.synchronize(),
        lambda stream, event: event.query(),
    ],
)
def test_whatever_a_failed_gpu_is_asked_it_is_a_device_that_failed(ask: Callable[[Any, Any], None]) -> None:
    driver = Driver()
    stream, event = CudaStream(device(), driver, bindings()), CudaEvent(driver)
    ask(stream, event)
    driver.broken = True
    with pytest.raises(DeviceError, match=r"^the device failed: an illegal memory access was encountered$"):
        ask(stream, event)


def test_no_memory_for_a_graph_is_no_failure_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = device()
    opened._device = SimpleNamespace(name=lambda: "GPU")
    CudaStream(opened, Driver(), bindings()).capture(lambda: None)
    with pytest.raises(RoomError, match=r"^GPU has no memory for one more graph$"):
        CudaStream(opened, Driver(), bindings(status=2)).capture(lambda: None)
    with pytest.raises(DeviceError, match=r"^the device failed: 700$"):
        CudaStream(opened, Driver(), bindings(status=700)).capture(lambda: None)


@pytest.mark.parametrize(
    ("broken", "bus_id", "memory"),
    [(False, "0000:3B:00.0", "3 of 9 MB are free"), (True, None, "how much is free is not known")],
)
def test_where_the_gpu_sits_and_how_much_is_free_is_known_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, broken: bool, bus_id: str | None, memory: str
) -> None:
    driver = Driver()
    driver.broken = broken
    monkeypatch.setitem(sys.modules, "pycuda", SimpleNamespace(driver=driver))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)  # type: ignore[arg-type]
    assert (first_bus_id(), memory_told()) == (bus_id, memory)


def test_without_pycuda_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    assert (first_bus_id(), memory_told()) == (None, "how much is free is not known")
