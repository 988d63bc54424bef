"""An NVIDIA GPU: PyCUDA for context, memory, streams and events; cuda-bindings for graphs, which PyCUDA does not have.

Both are imported here alone, and only when a device is opened. The context is the device's primary one, which the libraries
that build on CUDA's runtime use too, and it is popped on the way out: one that is left on the stack aborts the process at its
end.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from typing_extensions import Self

from engines.base import Array
from engines.device import STREAMS, DeviceError, DeviceMemory, RoomError
from engines.errors import BackendMissingError, EngineError

INSTALL = "install it with `pip install 'dvabatch[tensorrt]'` on a machine with an NVIDIA GPU and its driver"
_OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the legacy default stream does not hold it up


class CudaDevice:
    """GPU `index`, opened in a `with` block on the thread that uses it."""

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._kept: list[Any] = []  # allocations live as long as the device is open

    def __enter__(self) -> Self:
        self._driver = import_or_say("pycuda.driver", "PyCUDA")
        self._bindings = _graphs_of_bindings()
        cuda = self._driver
        # Read when the context is made; the usual 8 are fewer than the streams of a run.
        os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", str(STREAMS))
        try:
            cuda.init()
            self._device = cuda.Device(self._index)
            self._outside = self._current()
            self._context = self._device.retain_primary_context()
            self._context.push()
        except cuda.Error as error:
            raise BackendMissingError(
                f"GPU {self._index} cannot be used: {error}; check `nvidia-smi`, or use --backend onnxruntime"
            ) from error
        self.is_open = True
        return self

    def __exit__(self, *exc: object) -> None:
        self.is_open = False
        try:
            for allocation in self._kept:
                if hasattr(allocation, "free"):
                    allocation.free()
        except self._driver.Error as error:
            if exc[0] is None:  # else what went wrong first is on its way already
                raise DeviceError(f"{self.name}: {error}") from error
        finally:
            self._kept.clear()
            self._context.pop()
            self._context.detach()
            # To release a primary context PyCUDA makes it current, and it stays so.
            if self._current() != self._outside:
                self._bindings.cuCtxPopCurrent()

    def _current(self) -> int:
        """The context that this thread is in, by its handle; 0 in none, or where a broken GPU does not say."""
        status, context = self._bindings.cuCtxGetCurrent()
        return int(context) if int(status) == 0 else 0

    @property
    def name(self) -> str:
        return str(self._device.name())

    @property
    def capability(self) -> str:
        """Compute capability, such as 9.0."""
        return ".".join(str(part) for part in self._device.compute_capability())

    def memory(self) -> DeviceMemory:
        try:
            free, total = self._driver.mem_get_info()
        except self._driver.Error as error:
            raise failed(error) from error
        return DeviceMemory(free, total)

    def allocate(self, size_bytes: int, what: str) -> int:
        try:
            allocation = self._driver.mem_alloc(max(size_bytes, 1))
        except self._driver.MemoryError as error:
            memory = self.memory()
            raise EngineError(
                f"{what} need {size_bytes / 1e6:.0f} MB on {self.name}, {memory.free_bytes / 1e6:.0f} of "
                f"{memory.total_bytes / 1e6:.0f} MB are free: lower engine.max_batch or engine.buffer_set_size (--max-batch, "
                "--executors-per-stage of profile), or end what else uses the GPU"
            ) from error
        except self._driver.Error as error:
            raise failed(error) from error
        self._kept.append(allocation)
        return int(allocation)

    def pinned(self, size_bytes: int) -> Array:
        try:
            array: Array = self._driver.pagelocked_empty(max(size_bytes, 1), np.uint8)
        except self._driver.Error as error:
            raise EngineError(f"{size_bytes / 1e6:.0f} MB of page-locked memory cannot be had: {error}") from error
        self._kept.append(array)
        return array[:size_bytes]

    def stream(self) -> CudaStream:
        try:
            return CudaStream(self, self._driver, self._bindings)
        except self._driver.Error as error:
            raise failed(error) from error

    def event(self) -> CudaEvent:
        try:
            return CudaEvent(self._driver)
        except self._driver.Error as error:
            raise failed(error) from error


class CudaEvent:
    """Without a time of its own, which makes it cheaper."""

    __slots__ = ("_errors", "event")

    def __init__(self, cuda: Any) -> None:
        self.event = cuda.Event(cuda.event_flags.DISABLE_TIMING)
        self._errors = cuda.Error

    def query(self) -> bool:
        try:
            return bool(self.event.query())
        except self._errors as error:
            raise failed(error) from error


class CudaGraph:
    """An instantiated graph; it goes when nobody keeps it."""

    __slots__ = ("_bindings", "_device", "executable")

    def __init__(self, device: CudaDevice, bindings: Any, executable: Any) -> None:
        self._device = device
        self._bindings = bindings
        self.executable = executable

    def __del__(self) -> None:
        if self._device.is_open:  # else it went with the context
            self._bindings.cuGraphExecDestroy(self.executable)


class CudaStream:
    """A stream of PyCUDA, on which cuda-bindings captures; its events and graphs are those of this device."""

    def __init__(self, device: CudaDevice, cuda: Any, bindings: Any) -> None:
        self._device = device
        self._cuda = cuda
        self._bindings = bindings
        self._errors = cuda.Error
        self._stream = cuda.Stream(_NON_BLOCKING)
        self.handle = int(self._stream.handle)
        self._at = bindings.CUstream(self.handle)

    def upload(self, target: int, source: Array) -> None:
        try:
            self._cuda.memcpy_htod_async(target, source, self._stream)
        except self._errors as error:
            raise failed(error) from error

    def download(self, target: Array, source: int) -> None:
        try:
            self._cuda.memcpy_dtoh_async(target, source, self._stream)
        except self._errors as error:
            raise failed(error) from error

    def copy(self, target: int, source: int, size_bytes: int) -> None:
        try:
            self._cuda.memcpy_dtod_async(target, source, size_bytes, self._stream)
        except self._errors as error:
            raise failed(error) from error

    def record(self, event: Any) -> None:
        try:
            event.event.record(self._stream)
        except self._errors as error:
            raise failed(error) from error

    def wait(self, event: Any) -> None:
        try:
            self._stream.wait_for_event(event.event)
        except self._errors as error:
            raise failed(error) from error

    def capture(self, work: Callable[[], None]) -> CudaGraph:
        bindings = self._bindings
        _check(
            bindings.cuStreamBeginCapture(self._at, bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
        )
        try:
            work()
        finally:
            ended = bindings.cuStreamEndCapture(self._at)
        (graph,) = _check(ended)
        try:
            made = bindings.cuGraphInstantiate(graph, 0)
        finally:
            bindings.cuGraphDestroy(graph)
        if int(made[0]) == _OUT_OF_MEMORY:
            raise RoomError(f"{self._device.name} has no memory for one more graph")
        (executable,) = _check(made)
        return CudaGraph(self._device, bindings, executable)

    def launch(self, graph: Any) -> None:
        _check(self._bindings.cuGraphLaunch(graph.executable, self._at))

    def synchronize(self) -> None:
        try:
            self._stream.synchronize()
        except self._errors as error:
            raise failed(error) from error


def failed(error: Exception) -> DeviceError:
    """What PyCUDA raises, as what the runtime knows."""
    return DeviceError(f"the device failed: {error}")


def memory_told() -> str:
    """How much memory the open device has left, in words; that nobody knows where none is open."""
    try:
        cuda = importlib.import_module("pycuda.driver")
    except ImportError:
        return "how much is free is not known"
    try:
        free, total = cuda.mem_get_info()
    except cuda.Error:
        return "how much is free is not known"
    return f"{free / 1e6:.0f} of {total / 1e6:.0f} MB are free"


def first_bus_id() -> str | None:
    """Where the GPU that is used here sits, by which NVIDIA's management library finds it: that one counts all GPUs, not
    only those that CUDA_VISIBLE_DEVICES shows. None where no GPU can be used."""
    try:
        cuda = importlib.import_module("pycuda.driver")
    except ImportError:
        return None
    try:
        cuda.init()
        return str(cuda.Device(0).pci_bus_id())
    except cuda.Error:
        return None


def import_or_say(module: str, what: str) -> Any:
    """A module that only this back end needs.

    Raises:
        BackendMissingError: it is not installed, or a library that it needs is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendMissingError(f"backend tensorrt needs {what}, which is not there ({error}): {INSTALL}") from error


def _graphs_of_bindings() -> Any:
    """The driver's interface: it moved from one release of cuda-bindings to another."""
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ImportError:
        return import_or_say("cuda.cuda", "cuda-bindings")


def _check(answer: Any) -> Any:
    """What a call of cuda-bindings gives besides its status.

    Raises:
        DeviceError: the status is an error.
    """
    status, *values = answer
    if int(status) != 0:
        raise DeviceError(f"the device failed: {getattr(status, 'name', status)}")
    return values
