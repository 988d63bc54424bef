"""The contract between engines that run asynchronously and whatever accelerator runs them.

One thread owns a device and everything on it. Work is queued on streams and runs later, in each stream's order; events say
when it has. Device addresses are plain integers, host memory is NumPy arrays; the memory that a stream reads or writes must
stay as it is until the work is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from engines.base import Array
from engines.errors import EngineError
from slicer.manifest import TensorSpec

STREAMS = (
    32  # that run apart at the most: of more, some share a queue of the device, where one that waits holds up another
)
ALIGNMENT = 256  # what TensorRT asks of a tensor's address, and what an allocation is a multiple of


class DeviceError(EngineError):
    """The device itself failed: nothing that was on it will end."""


class RoomError(EngineError):
    """The device has no memory for one more graph; whatever else runs on it goes on."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Bytes of the device's memory."""

    free_bytes: int
    total_bytes: int


class Event(Protocol):
    """A point in a stream's work."""

    def query(self) -> bool:
        """Whether the device has come to it.

        Raises:
            DeviceError: it never will.
        """


class Graph(Protocol):
    """Work that was captured once, to be launched again and again at one call."""


class Stream(Protocol):
    """Work in order. Whatever is asked of it raises DeviceError where the device has failed."""

    @property
    def handle(self) -> int: ...

    def upload(self, target: int, source: Array) -> None:
        """Host to device: C-contiguous, and page-locked if it is not to block."""

    def download(self, target: Array, source: int) -> None: ...

    def copy(self, target: int, source: int, size_bytes: int) -> None:
        """Device to device."""

    def record(self, event: Event) -> None:
        """Lays `event` behind everything that is on this stream; it may be laid anew when it has come."""

    def wait(self, event: Event) -> None:
        """What follows on this stream starts when `event`, as it is laid now, has come."""

    def capture(self, work: Callable[[], None]) -> Graph:
        """What `work` puts on this stream, as a graph; nothing of it runs.

        Raises:
            RoomError: there is no memory for it.
        """

    def launch(self, graph: Graph) -> None: ...

    def synchronize(self) -> None:
        """Blocks until everything on this stream has run.

        Raises:
            DeviceError: it failed.
        """


class Device(Protocol):
    """One accelerator."""

    @property
    def name(self) -> str: ...

    def memory(self) -> DeviceMemory: ...

    def allocate(self, size_bytes: int, what: str) -> int:
        """The address of fresh device memory, a multiple of ALIGNMENT; it lives until `close`.

        Raises:
            EngineError: there is not enough; `what` says for what, and the message with which numbers.
        """

    def pinned(self, size_bytes: int) -> Array:
        """Page-locked host memory, as bytes; it lives until `close`."""

    def stream(self) -> Stream: ...

    def event(self) -> Event: ...


class Executor(Protocol):
    """One stage with memory of its own to work in: at most one run of it is in flight."""

    def enqueue(self, stream: Stream, addresses: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Puts one run on the stream: every tensor's address, and the shape of every input.

        Raises:
            EngineError: it was refused; nothing was put on the stream.
        """


class Module(Protocol):
    """One stage, loaded on a device."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def max_batch(self) -> int: ...

    @property
    def precision(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def arena_bytes(self) -> int:
        """Device memory that a run works in, besides its inputs and outputs."""

    def infer_shapes(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of every tensor of the stage, for inputs of these shapes; nothing runs.

        Raises:
            EngineError: the stage does not take them.
        """

    def executor(self, arena: int) -> Executor:
        """A fresh executor that works in this memory."""
