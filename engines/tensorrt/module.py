"""A built engine, loaded on the device, and the contexts that run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engines.device import ALIGNMENT, Stream
from engines.errors import EngineError
from engines.tensorrt import release
from engines.tensorrt.binding import Complaints, started, tensorrt, version
from slicer.manifest import TensorSpec

# TensorRT's own translation fails under releases of NumPy that have no `np.bool`.
_DTYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "BOOL": "bool", "UINT8": "uint8",
    "INT64": "int64",
}  # fmt: skip


class TensorRTModule:
    """One stage. Nothing can be attached to TensorRT's objects, so what they use is kept here."""

    def __init__(
        self,
        file: Path,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        *,
        max_batch: int,
        precision: str,
        key: str,
        small: tuple[int, Path] | None = None,
    ) -> None:
        """Loads the engine: a device must be open. `small` is a second one, for batches of up to so many rows.

        Raises:
            EngineError: a file was built by another release or for another device.
        """
        self.inputs = inputs
        self.outputs = outputs
        self.max_batch = max_batch
        self.precision = precision
        self.version = version()
        self.key = key
        self._trt = tensorrt()
        self._complaints = Complaints()
        self._runtime = started(self._trt.Runtime, self._complaints)
        files = (file,) if small is None else (small[1], file)
        self._small_batch = 0 if small is None else small[0]
        self._engines = tuple(map(self._loaded, files))  # the one for all batches comes last
        size = max(map(release.context_bytes, self._engines))
        self.arena_bytes = -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        self._asked: Any = None

    def infer_shapes(self, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[str, tuple[int, ...]]]:
        if self._asked is None:
            self._asked = self._context(self._engines[-1])
        context = self._asked
        _set_shapes(context, inputs, self._complaints)
        missing = context.infer_shapes()
        if missing:
            raise EngineError(f"shapes {dict(inputs)} leave {list(missing)} open")
        names = [tensor.name for tensor in (*self.inputs, *self.outputs)]
        return {name: (self._dtype(name), tuple(context.get_tensor_shape(name))) for name in names}

    def executor(self, arena: int) -> TensorRTExecutor:
        contexts = [self._context(engine) for engine in self._engines]
        for context in contexts:  # of one executor, of which one runs at a time
            release.give_memory(context, arena, self.arena_bytes)
        return TensorRTExecutor([_Context(self, context, self._complaints) for context in contexts], self._small_batch)

    def _loaded(self, file: Path) -> Any:
        engine = self._runtime.deserialize_cuda_engine(file.read_bytes())
        if engine is None:
            why = self._complaints.of_memory() or (
                "; it was built by another release or for another GPU: run `dvabatch cache clear` and build again"
            )
            raise EngineError(f"{file} cannot be loaded by {self.version}: {self._complaints.last()}{why}")
        return engine

    def _context(self, engine: Any) -> Any:
        """A fresh context without memory."""
        context = release.bare_context(self._trt, engine)
        if context is None:
            complaints = self._complaints
            raise EngineError(f"{self.version} makes no further context: {complaints.last()}{complaints.of_memory()}")
        return context

    def _dtype(self, name: str) -> str:
        return _DTYPES[str(self._engines[-1].get_tensor_dtype(name)).rpartition(".")[2]]


class TensorRTExecutor:
    """A context for every batch, or one for small ones and one for the others, on the same arena."""

    def __init__(self, contexts: Sequence[_Context], small_batch: int) -> None:
        self._contexts = contexts
        self._small_batch = small_batch

    def enqueue(self, stream: Stream, addresses: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> None:
        is_small = next(iter(shapes.values()))[0] <= self._small_batch
        self._contexts[0 if is_small else -1].enqueue(stream, addresses, shapes)


class _Context:
    """Shapes and addresses are told only where they changed: each costs microseconds."""

    def __init__(self, module: TensorRTModule, context: Any, complaints: Complaints) -> None:
        self._module = module
        self._context = context
        self._complaints = complaints
        self._shapes: Mapping[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._has_profile = False

    def enqueue(self, stream: Stream, addresses: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> None:
        context = self._context
        if not self._has_profile:
            context.set_optimization_profile_async(0, stream.handle)
            self._has_profile = True
        if shapes != self._shapes:
            _set_shapes(context, shapes, self._complaints)
            self._shapes = dict(shapes)
        for name, address in addresses.items():
            if self._addresses.get(name) != address:
                if not context.set_tensor_address(name, address):
                    raise EngineError(f"tensor {name!r} cannot lie at {address:#x}: {self._complaints.last()}")
                self._addresses[name] = address
        if not context.execute_async_v3(stream.handle):
            raise EngineError(f"{self._module.version} did not run {dict(shapes)}: {self._complaints.last()}")


def _set_shapes(context: Any, shapes: Mapping[str, tuple[int, ...]], complaints: Complaints) -> None:
    for name, shape in shapes.items():
        if not context.set_input_shape(name, shape):
            raise EngineError(f"input {name!r} does not take {list(shape)}: {complaints.last()}")
