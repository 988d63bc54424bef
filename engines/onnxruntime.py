"""Stages on ONNX Runtime: the embedded default.

Building is ONNX Runtime's own optimisation for this machine, done once and cached; opening then takes it as it is. Sessions
never spin: every session has a thread pool of its own, and with spinning pools eight stages cost up to 2.4 times the whole.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from typing_extensions import Self

from engines.base import Array
from engines.cache import CachedEngine, EngineCache
from engines.errors import BackendMissingError, EngineError
from engines.priority import giving_way
from slicer.manifest import TensorSpec

ENGINE_FILE = "engine.onnx"
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DTYPES = {"tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(float)": "float32", "tensor(double)": "float64"}


@dataclass(frozen=True, slots=True)
class OnnxRuntimeOptions:
    """How sessions are made. `threads` is for one launch; 0 takes every core."""

    threads: int = 0
    provider: str = "cpu"

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads is {self.threads}; wanted 0 (all cores) or more")
        if self.provider not in _PROVIDERS:
            raise ValueError(f"provider is {self.provider!r}; wanted one of {sorted(_PROVIDERS)}")


def version() -> str:
    """The library and its version."""
    return f"onnxruntime {onnxruntime.__version__}"


def engine_key(stage_sha256: str, options: OnnxRuntimeOptions) -> str:
    """What an engine depends on; the processor, because optimised graphs are made for its vector units."""
    parts = (stage_sha256, options.provider, version(), platform.machine(), _processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def build(
    stage_file: Path, stage_sha256: str, options: OnnxRuntimeOptions, cache: EngineCache, *, label: str
) -> CachedEngine:
    """The optimised stage from the cache, or made now.

    Raises:
        BackendMissingError: the execution provider is not in this build of ONNX Runtime.
        EngineError: the stage file cannot be read, or the cache cannot be written.
    """
    _require_provider(options)

    def make(folder: Path) -> None:
        session_options = _session_options(options)
        session_options.optimized_model_filepath = str(folder / ENGINE_FILE)
        try:
            _open_session(stage_file, session_options, options)
        except EngineError:
            _require_room(folder, stage_file)
            raise

    meta = {"stage": label, "stage_sha256": stage_sha256, "backend": version(), "provider": options.provider}
    return cache.fetch(engine_key(stage_sha256, options), make, meta)


class OnnxRuntimeEngine:
    """One stage in one session, which all its executors share: a session runs from many threads at once."""

    def __init__(
        self,
        file: Path,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        *,
        max_batch: int,
        key: str,
        options: OnnxRuntimeOptions | None = None,
        optimised: bool = True,
        constants: Mapping[str, float] | None = None,
    ) -> None:
        """`optimised` says that the file is a built engine, which is not optimised again; `constants` are scalar inputs
        of the file that every run is given."""
        self._file = file
        self._options = options or OnnxRuntimeOptions()
        self._optimised = optimised
        self._session: Any = None
        self._constants = dict(constants or {})
        self._fed: dict[str, Array] = {}
        self.inputs = inputs
        self.outputs = outputs
        self.max_batch = max_batch
        self.one_core = self._options.threads == 1
        self.precision = "fp32"
        self.version = version()
        self.key = key

    def __enter__(self) -> Self:
        _require_provider(self._options)
        session_options = _session_options(self._options)
        if self._optimised:
            session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # The session's own threads are started here and keep the priority of the thread that opened it.
        self._session = giving_way(lambda: _open_session(self._file, session_options, self._options))
        self._fed = {
            node.name: np.full([1] * len(node.shape), self._constants[node.name], _DTYPES[node.type])
            for node in self._session.get_inputs()
            if node.name in self._constants
        }
        return self

    def __exit__(self, *exc: object) -> None:
        self._session = None

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self.bind(inputs, outputs)()

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Callable[[], None]:
        session = self._opened()
        binding = session.io_binding()
        try:
            for name, array in (*inputs.items(), *self._fed.items()):
                binding.bind_input(name, "cpu", 0, array.dtype, array.shape, self._address(name, array))
            for name, array in outputs.items():
                binding.bind_output(name, "cpu", 0, array.dtype, array.shape, self._address(name, array))
        except EngineError:
            raise
        except Exception as error:  # ONNX Runtime's own types derive from Exception only
            raise EngineError(f"{self._file.name}: {error}") from error

        def run() -> None:
            try:
                session.run_with_iobinding(binding)
            except Exception as error:  # ONNX Runtime's own types derive from Exception only
                raise EngineError(f"{self._file.name}: {error}") from error

        return run

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        session = self._opened()
        names = [tensor.name for tensor in self.outputs]
        try:
            values = session.run(names, {**inputs, **self._fed})
        except Exception as error:  # ONNX Runtime's own types derive from Exception only
            raise EngineError(f"{self._file.name}: {error}") from error
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}

    def _address(self, name: str, array: Array) -> int:
        """Where the rows begin. ONNX Runtime takes an address and a shape, and would read past strides unawares."""
        if not array.flags.c_contiguous or not (name in self._fed or 0 < len(array) <= self.max_batch):
            raise EngineError(
                f"{self._file.name}: {name} is {array.dtype}{list(array.shape)}, strides {list(array.strides)}; "
                f"wanted 1 to {self.max_batch} C-contiguous rows"
            )
        return array.ctypes.data

    def _opened(self) -> Any:
        if self._session is None:
            raise EngineError(f"{self._file.name} is not open; use it inside a `with` block")
        return self._session


def _session_options(options: OnnxRuntimeOptions) -> Any:
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads or len(os.sched_getaffinity(0))
    session_options.inter_op_num_threads = 1
    session_options.log_severity_level = 4  # what goes wrong is raised, with the same words
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session_options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return session_options


def _open_session(file: Path, session_options: Any, options: OnnxRuntimeOptions) -> Any:
    if not file.is_file():
        raise EngineError(f"{file} does not exist; slice the model again")
    try:
        return onnxruntime.InferenceSession(str(file), session_options, providers=[_PROVIDERS[options.provider]])
    except Exception as error:  # ONNX Runtime's own types derive from Exception only
        raise EngineError(f"{file} cannot be opened by {version()}: {error}") from error


def _require_room(folder: Path, stage_file: Path) -> None:
    """ONNX Runtime fails alike on a bad model and on a full disk; writing as much tells them apart.

    Raises:
        OSError: the folder does not take a file of the stage's size.
    """
    if stage_file.is_file():
        (folder / ENGINE_FILE).write_bytes(bytes(stage_file.stat().st_size))


def _require_provider(options: OnnxRuntimeOptions) -> None:
    wanted, there = _PROVIDERS[options.provider], onnxruntime.get_available_providers()
    if wanted not in there:
        raise BackendMissingError(
            f"{version()} has no {wanted} (it has {', '.join(there)}); for it, install the package onnxruntime-gpu"
        )


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        return platform.processor()
