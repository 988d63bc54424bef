"""A device that is none: streams run later and in any order that streams allow, on the host's memory.

Addresses are real ones. What is queued on a stream runs when somebody asks for an event or synchronises; which stream goes on
then is drawn from a seed, so that a step which does not wait for what it needs is found out.
"""

from __future__ import annotations

import ctypes
import random
import weakref
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from engines.base import Array, StageEngine, TensorSpec
from engines.device import ALIGNMENT, DeviceError, DeviceMemory, RoomError
from engines.errors import EngineError

Work = Callable[[], None]
POISON = 0xFF


def at(address: int, size_bytes: int) -> Array:
    """The bytes at an address."""
    return np.frombuffer((ctypes.c_ubyte * size_bytes).from_address(address), np.uint8)


class FakeEvent:
    """Laid again and again: it has come when what was laid last has."""

    def __init__(self, device: FakeDevice) -> None:
        self._device = device
        self.laid = 0
        self.came: set[int] = set()

    def query(self) -> bool:
        self._device.go_on()
        return not self.laid or self.laid in self.came


class FakeGraph:
    def __init__(self, work: list[Work]) -> None:
        self.work = work
        self.launches = 0


class FakeStream:
    """Entries are work, or a test that must hold before what is behind it runs."""

    def __init__(self, device: FakeDevice) -> None:
        self.handle = 0
        self.entries: deque[tuple[Callable[[], bool] | None, Work]] = deque()
        self._device = device
        self._captured: list[Work] | None = None
        self.did: set[str] = set()  # what it has been asked for, of stages and transfers

    def put(self, work: Work) -> None:
        self._device.asked(self)
        if self._captured is not None:
            self._captured.append(work)
        else:
            self.entries.append((None, work))

    def upload(self, target: int, source: Array) -> None:
        assert source.flags.c_contiguous
        self.put(lambda: np.copyto(at(target, source.nbytes), source.reshape(-1).view(np.uint8)))

    def download(self, target: Array, source: int) -> None:
        assert target.flags.c_contiguous
        self.did.add("download")
        self.put(lambda: np.copyto(target.reshape(-1).view(np.uint8), at(source, target.nbytes)))

    def copy(self, target: int, source: int, size_bytes: int) -> None:
        self.put(lambda: np.copyto(at(target, size_bytes), at(source, size_bytes).copy()))

    def record(self, event: FakeEvent) -> None:
        event.laid += 1
        number = event.laid
        self.put(lambda: event.came.add(number))

    def wait(self, event: FakeEvent) -> None:
        """For what was laid last when this was said, as CUDA does."""
        self._device.asked(self)
        number = event.laid
        if number:
            self.entries.append((lambda: number in event.came, lambda: None))

    def capture(self, work: Work) -> FakeGraph:
        self._captured = []
        try:
            work()
            return self._device.kept(FakeGraph(self._captured))
        finally:
            self._captured = None

    def launch(self, graph: FakeGraph) -> None:
        self.did.add("stages")
        graph.launches += 1
        for work in graph.work:
            self.put(work)

    def synchronize(self) -> None:
        while self.entries:
            self._device.go_on()


class FakeDevice:
    """`room_bytes` is all the memory there is; `broken_after` is how many pieces of work run before the device fails, and
    `deaf_after` how many it is asked for; `most_graphs` is how many have room, and `refuses` what streams raise, by number."""

    name = "fake"

    def __init__(
        self,
        seed: int = 0,
        room_bytes: int = 1 << 30,
        broken_after: int | None = None,
        deaf_after: int | None = None,
        most_graphs: int | None = None,
        refuses: Mapping[int, EngineError] | None = None,
    ) -> None:
        self._random = random.Random(seed)
        self._deaf_after = deaf_after
        self._most_graphs = most_graphs
        self._refuses = refuses or {}
        self._graphs: weakref.WeakSet[FakeGraph] = weakref.WeakSet()
        self._room = room_bytes
        self._broken_after = broken_after
        self._streams: list[FakeStream] = []
        self._kept: list[Array] = []

    def memory(self) -> DeviceMemory:
        return DeviceMemory(self._room, 1 << 30)

    def allocate(self, size_bytes: int, what: str) -> int:
        if size_bytes > self._room:
            raise EngineError(f"{what} need {size_bytes} bytes, {self._room} are free")
        self._room -= size_bytes
        room: Array = np.full(size_bytes + ALIGNMENT, POISON, np.uint8)
        self._kept.append(room)
        address: int = room.__array_interface__["data"][0]
        return -(-address // ALIGNMENT) * ALIGNMENT

    def pinned(self, size_bytes: int) -> Array:
        room: Array = np.full(size_bytes, POISON, np.uint8)
        self._kept.append(room)
        return room

    def stream(self) -> FakeStream:
        stream = FakeStream(self)
        self._streams.append(stream)
        return stream

    def event(self) -> FakeEvent:
        return FakeEvent(self)

    @property
    def did(self) -> list[set[str]]:
        """What each stream has been asked for."""
        return [stream.did for stream in self._streams]

    def fill(self, free_bytes: int) -> None:
        """Somebody else takes all memory but so much."""
        self._room = free_bytes

    def asked(self, stream: FakeStream) -> None:
        """Something is put on a stream."""
        refusal = self._refuses.get(self._streams.index(stream))
        if refusal is not None:
            raise refusal
        if self._deaf_after is not None:
            self._deaf_after -= 1
            if self._deaf_after < 0:
                raise DeviceError("the device fell off the bus")

    @property
    def queued(self) -> int:
        """How much is on streams and has not run."""
        return sum(len(stream.entries) for stream in self._streams)

    @property
    def launches(self) -> list[int]:
        """How often each graph that is kept has been launched."""
        return [graph.launches for graph in self._graphs]

    def kept(self, graph: FakeGraph) -> FakeGraph:
        """One more graph, which has room until nobody keeps it."""
        if len(self._graphs) == self._most_graphs:
            raise RoomError("no memory for one more graph")
        self._graphs.add(graph)
        return graph

    def go_on(self) -> None:
        """One piece of work of some stream that can go on."""
        free = [stream for stream in self._streams if stream.entries and _may(stream)]
        if not free:
            return
        if self._broken_after is not None:
            self._broken_after -= 1
            if self._broken_after < 0:
                raise DeviceError("the device fell off the bus")
        _, work = self._random.choice(free).entries.popleft()
        work()


def _may(stream: FakeStream) -> bool:
    ready = stream.entries[0][0]
    return ready is None or ready()


class FakeExecutor:
    def __init__(self, module: FakeModule) -> None:
        self._module = module

    def enqueue(self, stream: FakeStream, addresses: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> None:
        module = self._module
        module.refuse(shapes)
        known = module.infer_shapes(shapes)
        for name, address in addresses.items():
            assert address % ALIGNMENT == 0, f"{name} lies at {address}"

        def rows(name: str) -> Array:
            dtype, shape = known[name]
            spec = np.dtype(dtype)
            return at(addresses[name], spec.itemsize * int(np.prod(shape))).view(spec).reshape(shape)

        def work() -> None:
            answers = module.engine.infer({tensor.name: rows(tensor.name).copy() for tensor in module.inputs})
            for name, value in answers.items():
                rows(name)[...] = value

        stream.did.add("stages")
        stream.put(work)


class FakeModule:
    """A stage of the host, as if it were on the device. `refuse(shapes)` may raise what an engine would."""

    arena_bytes = 512
    precision = "fp32"

    def __init__(
        self, engine: StageEngine, refuse: Callable[[Mapping[str, tuple[int, ...]]], None] = lambda _: None
    ) -> None:
        self.engine = engine
        self.refuse = refuse
        self.inputs: tuple[TensorSpec, ...] = engine.inputs
        self.outputs: tuple[TensorSpec, ...] = engine.outputs
        self.max_batch, self.version, self.key = engine.max_batch, engine.version, engine.key
        self._known: dict[tuple[tuple[str, tuple[int, ...]], ...], dict[str, tuple[str, tuple[int, ...]]]] = {}

    def infer_shapes(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[str, tuple[int, ...]]]:
        key = tuple(sorted(inputs.items()))
        if key not in self._known:
            dtypes = {tensor.name: tensor.dtype for tensor in self.inputs}
            zeros = {name: np.zeros(shape, dtypes[name]) for name, shape in inputs.items()}
            values = {**zeros, **self.engine.infer(zeros)}
            self._known[key] = {name: (value.dtype.name, value.shape) for name, value in values.items()}
        return self._known[key]

    def executor(self, arena: int) -> FakeExecutor:
        assert arena % ALIGNMENT == 0
        return FakeExecutor(self)
