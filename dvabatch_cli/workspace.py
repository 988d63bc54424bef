"""Where models, stages, engines and profiles of configs live, and how the missing ones are made.

Everything is named by what it was made from, so that nothing is made twice and nothing stale is used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvabatch import __version__
from dvabatch.batching.errors import ProfileError
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from dvabatch.batching.profile import Profile
from dvabatch.models import write_network
from dvabatch.models.registry import registry
from dvabatch.reporting.files import write_text
from dvabatch.runtime.profiling import Effort, Profiler, ProfileRun
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.tensors import TensorTable
from dvabatch_cli.config import Config
from dvabatch_cli.config.engine import AUTO
from dvabatch_cli.config.model import NetworkModel, OnnxModel
from dvabatch_cli.errors import CommandError
from engines.awake import kept_awake
from engines.base import Array
from engines.cache import CachedEngine, EngineCache, default_root
from engines.onnxruntime import ENGINE_FILE, OnnxRuntimeEngine, OnnxRuntimeOptions, build
from engines.onnxruntime import version as library_version
from slicer import CheckedStages, Manifest, ManifestError, SliceOptions, check_stages, read_manifest, slice_model
from slicer.load import content_sha256, sha256_of

Say = Callable[[str], None]
_MAX_TABLE_BYTES = 4 << 20
_MEASURED = 15  # how profiles are measured: those kept from another way are measured again


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model, cut and built."""

    folder: Path
    manifest: Manifest
    engines: tuple[CachedEngine, ...]
    whole: CachedEngine
    options: OnnxRuntimeOptions

    @property
    def backend(self) -> str:
        return "onnxruntime"

    @property
    def precision(self) -> str:
        return "fp32"

    @property
    def version(self) -> str:
        return library_version()

    def open_stage(self, index: int, max_batch: int) -> OnnxRuntimeEngine:
        """Stage `index` on its built engine; enter it before use."""
        stage, engine = self.manifest.stages[index], self.engines[index]
        return OnnxRuntimeEngine(
            engine.folder / ENGINE_FILE,
            stage.inputs,
            stage.outputs,
            max_batch=max_batch,
            key=engine.key,
            options=self.options,
        )

    def open_whole(self, max_batch: int) -> OnnxRuntimeEngine:
        """The unsliced model, built in the same way: what slicing is compared with."""
        return OnnxRuntimeEngine(
            self.whole.folder / ENGINE_FILE,
            self.manifest.inputs,
            self.manifest.outputs,
            max_batch=max_batch,
            key=self.whole.key,
            options=self.options,
            constants=self.manifest.bind,
        )

    def open_reference(self) -> OnnxRuntimeEngine:
        """The model's own file, untouched: what answers are compared with."""
        return OnnxRuntimeEngine(
            self.folder / self.manifest.model_file,
            self.manifest.inputs,
            self.manifest.outputs,
            max_batch=1,
            key=self.manifest.content_sha256,
            options=self.options,
            optimised=False,
            constants=self.manifest.bind,
        )


def model_file(config: Config, say: Say) -> Path:
    """The config's ONNX file; a network of ours is written if it is not there."""
    model = config.model
    if isinstance(model, OnnxModel):
        assert config.onnx_path is not None
        if not config.onnx_path.is_file():
            raise CommandError(
                f"model {config.onnx_path} does not exist; give model.onnx a path relative to {config.folder}"
            )
        return config.onnx_path
    if not isinstance(model, NetworkModel):
        raise CommandError(f"config {config.name} has no model; the backend {config.engine.backend} needs one")
    return network_file(model, say)


def network_file(model: NetworkModel, say: Say) -> Path:
    """A network of ours in the workspace."""
    file = _network_path(model)
    if not file.is_file():
        shape, as_bytes = _input_shape(model), model.input_type == "uint8"
        say(f"writing {model.network} ({'x'.join(map(str, shape))}, random weights from seed {model.seed})")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_network(model.network, file, input_shape=shape, seed=model.seed, as_bytes=as_bytes)
    return file


def _network_path(model: NetworkModel) -> Path:
    kind = "" if model.input_type == "float32" else f"-{model.input_type}"
    shape = "x".join(map(str, _input_shape(model)))
    return default_root() / "models" / f"{model.network}-{shape}{kind}-s{model.seed}-v{__version__}.onnx"


def _input_shape(model: NetworkModel) -> tuple[int, ...]:
    return tuple(model.input or registry[model.network].input_shape)


def stages_of(config: Config, say: Say) -> CheckedStages:
    """The config's stages; the model is sliced if it has not been, or if the folder was changed since."""
    file = model_file(config, say)
    folder = _stages_folder(config, file)
    try:
        return check_stages(folder)
    except ManifestError:
        say(f"slicing {file.name} into {_stages_told(config)}")
        shapes, bind = _shapes_and_constants(config)
        options = SliceOptions(
            stages=config.slicing.stages,
            cut_behind=config.slicing.cut_behind,
            shapes=shapes,
            bind=bind,
            max_batch=min(8, config.engine.max_batch),
            threads=config.engine.threads,
        )
        return CheckedStages(folder, slice_model(file, folder, options, progress=say))


def missing_of(config: Config) -> list[str]:
    """What a run of this config would have to make before it measures, as far as can be told without making anything."""
    if config.engine.backend == "table":
        return []
    model = config.model
    file = config.onnx_path
    if isinstance(model, NetworkModel):
        file = _network_path(model)
        if not file.is_file():
            return [f"the model {file.name}", f"its {_stages_told(config)}", "their engines", "their profile"]
    if file is None:
        return []
    folder = _stages_folder(config, file)
    try:
        read_manifest(folder)
    except ManifestError:
        return [f"{_stages_told(config)} of {file.name}", "their engines", "their profile"]
    return [] if any(folder.glob("profile-*.json")) else ["the engines (if not cached) and their profile"]


def _stages_told(config: Config) -> str:
    return "stages (as many as pay)" if config.slicing.stages == AUTO else f"{config.slicing.stages} stages"


def _stages_folder(config: Config, file: Path) -> Path:
    shapes, bind = _shapes_and_constants(config)
    content = content_sha256(file) if isinstance(config.model, OnnxModel) else sha256_of(file)
    facts: list[object] = [content, config.slicing.stages, sorted(shapes.items()), sorted(bind.items()), __version__]
    if config.slicing.cut_behind:
        facts.append(config.slicing.cut_behind)
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return default_root() / "stages" / f"{file.stem}-{config.slicing.stages}-{digest}"


def _shapes_and_constants(config: Config) -> tuple[dict[str, tuple[int, ...]], dict[str, float | int]]:
    if isinstance(config.model, OnnxModel):
        return dict(config.model.shapes), dict(config.model.bind)
    return {}, {}


def prepare(stages: CheckedStages, *, threads: int, say: Say, cache: EngineCache | None = None) -> Prepared:
    """An engine of ONNX Runtime for every stage, and one for the whole model."""
    cache = cache or EngineCache()
    folder, manifest = stages.folder, stages.manifest
    options = OnnxRuntimeOptions(threads)
    engines = []
    for stage in manifest.stages:
        label = f"{manifest.name} stage {stage.index}"
        engine = build(folder / stage.file, stage.sha256, options, cache, label=label)
        say(told(label, engine))
        engines.append(engine)
    whole = build(folder / manifest.model_file, manifest.content_sha256, options, cache, label=f"{manifest.name} whole")
    say(told(f"{manifest.name} whole", whole))
    return Prepared(folder, manifest, tuple(engines), whole, options)


def told(label: str, engine: CachedEngine) -> str:
    """How an engine came here, in a line."""
    size = f"{engine.size_bytes / 1e6:.1f} MB"
    return f"{label}: {'found in the cache' if engine.hit else f'built in {engine.build_s:.1f} s'}, {size}"


@dataclass(frozen=True, slots=True)
class MeasuredProfile:
    """A profile from the workspace, and the slicing tax measured with it."""

    profile: Profile
    slicing_tax: Mapping[str, float]
    fresh: bool


def examples_of(limits: Limits, row: Callable[[int | None], Mapping[str, Array]]) -> list[dict[str, Array]]:
    """A batch of one for each lane, from payload rows as long as the lane."""
    return [{name: np.asarray(value)[None] for name, value in row(lane).items()} for lane in limits.lanes]


@contextmanager
def awake(say: Say) -> Iterator[None]:
    """Cores are kept awake; where they cannot be, that is said."""
    with kept_awake() as all_are:
        if not all_are:
            say("engine.keep_awake: this system lets no process run at idle priority on each core: cores may sleep")
        yield


def profile_of(
    prepared: Prepared,
    limits: Limits,
    row: Callable[[int | None], Mapping[str, Array]],
    say: Say,
    *,
    again: bool = False,
    effort: Effort | None = None,
    keep_awake: bool = False,
) -> MeasuredProfile:
    """The profile of these engines under these limits, measured if it has not been (or `again`).

    `keep_awake` lets no core sleep meanwhile.
    """
    effort = effort or Effort()

    def measure() -> ProfileRun:
        once_s = sum(stage.latency_ms.get(1, 0.0) for stage in prepared.manifest.stages) / 1e3
        say(f"measuring the profile, about {effort.estimate_s(once_s, limits):.0f} s")
        with ExitStack() as opened:
            if keep_awake:
                opened.enter_context(awake(say))
            stages = [opened.enter_context(prepared.open_stage(at, limits.max_batch)) for at in range(limits.stages)]
            whole = opened.enter_context(prepared.open_whole(limits.max_batch))
            examples = examples_of(limits, row)
            outputs = [tensor.name for tensor in prepared.manifest.outputs]
            table = TensorTable(lay_out(stages, examples, outputs), limits.buffer_sets, limits.max_batch)
            table.rows(Place(0, 0, 1), 0, ())
            return Profiler(
                prepared.manifest.name, stages, whole, table, limits, examples, effort=effort, progress=say
            ).measure()

    facts: list[object] = [prepared.options.threads, len(os.sched_getaffinity(0)), *["awake"] * keep_awake]
    return kept_profile(prepared, limits, facts, measure, again=again)


def kept_profile(
    prepared: Prepared, limits: Limits, facts: Sequence[object], measure: Callable[[], ProfileRun], *, again: bool
) -> MeasuredProfile:
    """The profile of these engines, limits and `facts` of the machine from the workspace; measured and kept otherwise."""
    engines = [engine.key for engine in prepared.engines]
    bounds = [limits.max_batch, limits.executors_per_stage, limits.buffer_sets, list(limits.lanes)]
    said = json.dumps([engines, *facts, *bounds, __version__, _MEASURED])
    file = prepared.folder / f"profile-{hashlib.sha256(said.encode()).hexdigest()[:12]}.json"
    found = None if again else _read_profile(file)
    if found is not None:
        return found
    run = measure()
    tax = {str(size): round(value, 4) for size, value in run.slicing_tax.items()}
    write_json(file, {**run.profile.to_table(), "slicing_tax": tax})
    return MeasuredProfile(run.profile, tax, fresh=True)


def _read_profile(file: Path) -> MeasuredProfile | None:
    """A profile from before; None if there is none, or what is there cannot be read (it is then measured again)."""
    try:
        table = _read_json(file)
        return MeasuredProfile(Profile.from_table(table), dict(table["slicing_tax"]), fresh=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ProfileError, RecursionError):
        return None


def read_table(path: Path) -> Profile:
    """The profile of a latency table.

    Raises:
        CommandError: the file is missing, too large or no table.
    """
    try:
        table = _read_json(path)
        if not isinstance(table, dict):
            raise CommandError(f"table {path} holds {type(table).__name__}, wanted an object with 'stages' or 'lanes'")
        return Profile.from_table(table)
    except OSError as error:
        raise CommandError(
            f"table {path} cannot be read: {error.strerror}; give engine.table a path relative to the config"
        ) from error
    except (ValueError, ProfileError, RecursionError) as error:
        raise CommandError(f"table {path}: {error}") from error


def _read_json(file: Path) -> Any:
    with file.open("rb") as stream:
        data = stream.read(_MAX_TABLE_BYTES + 1)
    if len(data) > _MAX_TABLE_BYTES:
        raise ValueError(f"it has more than {_MAX_TABLE_BYTES} bytes; a latency table has at most 4 MiB")
    return json.loads(data)


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Writes a file whole or not at all."""
    write_text(file, json.dumps(document, indent=1))
