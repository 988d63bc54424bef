"""The TensorRT side of the workspace: engines of a folder of stages, loaded on a GPU, and what they cost there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from dvabatch.batching.limits import Limits
from dvabatch.loadgen import PayloadPool
from dvabatch.runtime.device_launcher import ROOM_FOR_GRAPHS, DeviceLauncher
from dvabatch.runtime.device_profiling import DeviceEffort, DeviceProfiler
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.profiling import Effort, ProfileRun
from dvabatch.runtime.shapes import lay_out_modules
from dvabatch_cli.clock_notes import kept_clock_notes
from dvabatch_cli.errors import CommandError
from dvabatch_cli.gpu_watch import open_watch
from dvabatch_cli.sites import undisturbed
from dvabatch_cli.workspace import (
    MeasuredProfile,
    Prepared,
    examples_of,
    kept_profile,
    prepare,
    profile_of,
    told,
)
from engines.base import Array
from engines.cache import CachedEngine, EngineCache
from engines.cuda import CudaDevice, first_bus_id
from engines.device import Device, Module
from engines.errors import BackendMissingError
from engines.onnxruntime import OnnxRuntimeOptions
from engines.tensorrt.binding import version
from engines.tensorrt.build import ENGINE_FILE, SMALL_ENGINE_FILE, Layout, build, layout_of
from engines.tensorrt.module import TensorRTModule
from engines.tensorrt.options import TensorRTOptions
from slicer import CheckedStages, Manifest, TensorSpec

Say = Callable[[str], None]
Tensors: TypeAlias = tuple[TensorSpec, ...]
QUICK_ON_HOST = Effort(budget_s=0.3, least=2, most=7)
QUICK_ON_GPU = DeviceEffort(budget_s=0.01, rounds=4, queries=30, launches=60, light_s=0.1)


@dataclass(frozen=True, slots=True)
class PreparedGpu(Prepared):
    """A model, cut, and built for one GPU. The reference for answers stays ONNX Runtime's on the CPU."""

    tensorrt: TensorRTOptions
    gpu: str
    graphs: int = ROOM_FOR_GRAPHS

    @property
    def backend(self) -> str:
        return "tensorrt"

    @property
    def precision(self) -> str:
        return self.tensorrt.precision

    @property
    def version(self) -> str:
        return version()

    def load_stages(self) -> list[Module]:
        """The stages, on the device that is open."""
        return [
            self._load(engine, stage.inputs, stage.outputs)
            for engine, stage in zip(self.engines, self.manifest.stages, strict=True)
        ]

    def load_whole(self) -> Module:
        """The unsliced model, built in the same way."""
        return self._load(self.whole, self.manifest.inputs, self.manifest.outputs)

    def _load(self, engine: CachedEngine, inputs: Tensors, outputs: Tensors) -> Module:
        few = self.tensorrt.small_batch
        return TensorRTModule(
            engine.folder / ENGINE_FILE,
            inputs,
            outputs,
            max_batch=self.tensorrt.max_batch,
            precision=self.precision,
            key=engine.key,
            small=(few, engine.folder / SMALL_ENGINE_FILE) if few else None,
        )


def backend_of(asked: str, say: Say) -> str:
    """The back end to use: `auto` is tensorrt where it works, else onnxruntime, and says which.

    Raises:
        BackendMissingError: tensorrt was asked for and does not work here.
    """
    if asked not in {"auto", "tensorrt"}:
        return asked
    try:
        version()
        with CudaDevice() as device:
            say(f"backend tensorrt: {version()} on {device.name}")
    except BackendMissingError as error:
        if asked == "tensorrt":
            raise
        say(f"backend onnxruntime, not tensorrt: {error}")
        return "onnxruntime"
    return "tensorrt"


def prepare_gpu(
    stages: CheckedStages, options: TensorRTOptions, *, graphs: int = ROOM_FOR_GRAPHS, say: Say
) -> PreparedGpu:
    """An engine for every stage, and one for the whole model.

    Raises:
        EngineError: TensorRT refuses a stage, or a device is not there.
        CommandError: the model has what this back end does not run.
    """
    folder, manifest = stages.folder, stages.manifest
    if manifest.bind:
        raise CommandError(
            f"{manifest.name} has scalar arguments ({', '.join(sorted(manifest.bind))}), which tensorrt engines of the whole "
            "model do not take yet: use --backend onnxruntime"
        )
    cache = EngineCache()
    halves = passed_on(manifest)
    made_for = batch_made_for(
        [stage.favored_batch for stage in manifest.stages], options.max_batch, options.small_batch
    )
    with CudaDevice() as device:
        gpu = f"{device.name} {device.capability}"
        engines = []
        for stage in manifest.stages:
            say(f"{manifest.name} stage {stage.index}: looking for its engine")
            label = f"{manifest.name} stage {stage.index}"
            engine = build(folder / stage.file, stage.sha256, stage.inputs, made_for, halves, options, cache,
                           device=gpu, label=label)  # fmt: skip
            say(told(label, engine))
            engines.append(engine)
        label = f"{manifest.name} whole"
        whole = build(folder / manifest.model_file, manifest.content_sha256, manifest.inputs, made_for, {}, options, cache,
                      device=gpu, label=label)  # fmt: skip
        say(told(label, whole))
    return PreparedGpu(folder, manifest, tuple(engines), whole, OnnxRuntimeOptions(), options, gpu, graphs)


def batch_made_for(favored: Sequence[int], max_batch: int, small_batch: int = 0) -> int:
    """The batch that TensorRT makes all engines of a model for, the whole one too: the largest that a stage favours, and a
    quarter of the maximum at the least; and larger than small batches, which have engines of their own.

    What stages favour was measured where they were sliced. A CPU's curves are so flat that a stage may favour a single row,
    and an engine made for that takes a third longer for a full batch than the whole model's, which was made for another.
    """
    return min(max_batch, max(*favored, max_batch // 4, small_batch + 1))


def prepare_on(
    backend: str,
    stages: CheckedStages,
    options: TensorRTOptions,
    *,
    threads: int = 0,
    graphs: int = ROOM_FOR_GRAPHS,
    say: Say,
) -> Prepared:
    """Stages, built for the back end that `backend_of` found: `options` are TensorRT's, `threads` ONNX Runtime's.

    Raises:
        CommandError: ONNX Runtime is to run at another precision than the model's.
    """
    if backend == "tensorrt":
        return prepare_gpu(stages, options, graphs=graphs, say=say)
    if options.precision != "fp32":
        raise CommandError(
            f"precision {options.precision} came, which needs the backend tensorrt; on onnxruntime set it to fp32"
        )
    return prepare(stages, threads=threads, say=say)


def profile_on(
    prepared: Prepared,
    limits: Limits,
    pool: PayloadPool,
    say: Say,
    *,
    again: bool = False,
    quick: bool = False,
    keep_awake: bool = False,
) -> MeasuredProfile:
    """The profile of what was prepared, where it was prepared for, on payloads of this pool; `quick` repeats less, `keep_awake`
    lets no core sleep."""
    if isinstance(prepared, PreparedGpu):
        return gpu_profile_of(prepared, limits, pool, say, again=again, effort=QUICK_ON_GPU if quick else None)
    effort = QUICK_ON_HOST if quick else None
    return profile_of(
        prepared, limits, lambda length: pool.row(0, length), say, again=again, effort=effort, keep_awake=keep_awake
    )


def passed_on(manifest: Manifest) -> dict[str, Layout]:
    """The tensors that live between stages only, neither the model's inputs nor its answers, and how they lie there."""
    outside = {tensor.name for tensor in (*manifest.inputs, *manifest.outputs)}
    between = {tensor.name: tensor for stage in manifest.stages for tensor in (*stage.inputs, *stage.outputs)}
    return {name: layout_of(tensor) for name, tensor in sorted(between.items()) if name not in outside}


@contextmanager
def open_launcher(
    prepared: PreparedGpu, limits: Limits, examples: Sequence[Mapping[str, Array]], device: Device
) -> Iterator[tuple[DeviceLauncher, DeviceTable]]:
    """The stages on an open device, with the memory of their buffer sets."""
    modules = prepared.load_stages()
    layout = lay_out_modules(modules, examples, [tensor.name for tensor in prepared.manifest.outputs])
    table = DeviceTable(device, layout, limits.buffer_sets, limits.max_batch)
    yield DeviceLauncher(device, modules, table, graphs=prepared.graphs), table


def gpu_profile_of(
    prepared: PreparedGpu,
    limits: Limits,
    pool: PayloadPool,
    say: Say,
    *,
    again: bool = False,
    effort: DeviceEffort | None = None,
) -> MeasuredProfile:
    """The profile of these engines on this GPU, measured if it has not been (or `again`)."""

    def measure() -> ProfileRun:
        say(f"measuring the profile on {prepared.gpu}")
        examples = examples_of(limits, lambda length: pool.row(0, length))
        with (
            CudaDevice() as device,
            open_launcher(prepared, limits, examples, device) as stages,
            open_watch() as watch,
            nullcontext() if watch is None else kept_clock_notes(say, first_bus_id()) as notes,
        ):
            whole = prepared.load_whole()
            outputs = [tensor.name for tensor in prepared.manifest.outputs]
            whole_table = DeviceTable(device, lay_out_modules([whole], examples, outputs), 1, limits.max_batch)
            whole_launcher = DeviceLauncher(device, [whole], whole_table, graphs=prepared.graphs)
            profiler = DeviceProfiler(
                prepared.manifest.name, f"{prepared.version} on {prepared.gpu}, {prepared.precision}", stages,
                whole_launcher, limits, examples, row=pool.row,
                effort=effort, progress=say, clock=None if notes is None else notes.mean_mhz,
            )  # fmt: skip
            pool.move(stages[0].pin)  # as for a run
            try:
                with undisturbed():  # as runs are
                    return profiler.measure()
            finally:
                pool.move(np.array)  # to where it outlasts the device

    return kept_profile(prepared, limits, [prepared.gpu, prepared.graphs > 0], measure, again=again)
