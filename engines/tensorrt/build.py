"""From a stage's ONNX file to a serialised engine in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnx

from engines.cache import CachedEngine, EngineCache
from engines.errors import EngineError
from engines.tensorrt import release
from engines.tensorrt.binding import Complaints, started, tensorrt, version
from engines.tensorrt.options import Range, TensorRTOptions
from slicer.manifest import TensorSpec

ENGINE_FILE = "engine.plan"
LAYERS_FILE = "layers.json"
SMALL_ENGINE_FILE = "small_engine.plan"  # for the batches of up to `small_batch` rows
SMALL_LAYERS_FILE = "small_layers.json"
_MOST_TIMINGS = 1 << 30  # a thousand times what large networks need
Layout: TypeAlias = Literal["LINEAR", "HWC8"]  # names of TensorRT's formats


def range_of(tensor: TensorSpec, made_for: int, most: int, options: TensorRTOptions) -> Range:
    """The shapes of an input: batches from 1 to `most`, made for one of them; lengths those of the lanes.

    Raises:
        EngineError: a dimension varies in a way that no lane tells.
    """
    if tensor.name in options.ranges:
        return options.ranges[tensor.name]
    names = {dim for dim in tensor.shape[1:] if isinstance(dim, str)}
    if "?" in names or (names and not options.lengths):
        raise EngineError(
            f"input {tensor.name!r} has shape {list(tensor.shape)}: say which lengths there are (--lengths, or "
            "preferred_seq_len in a config), or its shapes with --min-shapes, --opt-shapes and --max-shapes of `dvabatch build`"
        )
    lengths = sorted(options.lengths) or [1]

    def shape(batch: int, length: int) -> tuple[int, ...]:
        return batch, *(length if isinstance(dim, str) else dim for dim in tensor.shape[1:])

    return Range(shape(1, lengths[0]), shape(min(made_for, most), lengths[len(lengths) // 2]), shape(most, lengths[-1]))


def layout_of(tensor: TensorSpec) -> Layout:
    """How a tensor that passes between stages at fp16 lies in memory: channels last, where that costs no byte.

    Tensor cores compute on pictures with their channels last: a boundary in the plain layout has them transposed twice, which
    the whole model never does. Eight channels at a time (TensorRT's HWC8) is N, H, W, C where they come in eights: rows are
    as long as before and still lie one behind the other.
    """
    _, *dims = tensor.shape
    picture = len(dims) == 3 and all(isinstance(dim, int) for dim in dims)
    return "HWC8" if picture and isinstance(dims[0], int) and dims[0] % 8 == 0 else "LINEAR"


def engine_key(
    stage_sha256: str, ranges: Mapping[str, Range], halves: Mapping[str, Layout], options: TensorRTOptions, device: str
) -> str:
    """What an engine depends on. A plan runs on the kind of device, and under the release, that it was built with."""
    facts = [
        stage_sha256,
        [(name, entry.least, entry.best, entry.most) for name, entry in sorted(ranges.items())],
        sorted(halves.items()),
        options.precision,
        options.level,
        options.workspace_bytes,
        options.small_batch,
        version(),
        device,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def build(
    file: Path,
    sha256: str,
    inputs: Sequence[TensorSpec],
    made_for: int,
    halves: Mapping[str, Layout],
    options: TensorRTOptions,
    cache: EngineCache,
    *,
    device: str,
    label: str,
) -> CachedEngine:
    """The engine from the cache, or built now: that takes from seconds to minutes.

    `halves` names the tensors that pass between stages, and how they lie: at fp16 they stay so on the way.

    Raises:
        EngineError: the parser refuses an operator, or no engine can be built.
        BackendMissingError: TensorRT is not there.
    """
    if options.timing_cache is not None:
        check_writable(options.timing_cache)
    ranges = {tensor.name: range_of(tensor, made_for, options.max_batch, options) for tensor in inputs}
    timing = options.timing_cache or cache.root.parent / "timing" / f"{_plain(version())}-{_plain(device)}.cache"

    def make(folder: Path) -> None:
        plan, layers = _plan(file, ranges, halves, options, timing)
        (folder / ENGINE_FILE).write_bytes(plan)
        (folder / LAYERS_FILE).write_text(layers)
        if few := options.small_batch:
            small = {tensor.name: range_of(tensor, few, few, options) for tensor in inputs}
            plan, layers = _plan(file, small, halves, options, timing)
            (folder / SMALL_ENGINE_FILE).write_bytes(plan)
            (folder / SMALL_LAYERS_FILE).write_text(layers)

    meta = {
        "stage": label,
        "stage_sha256": sha256,
        "backend": version(),
        "precision": options.precision,
        "device": device,
    }
    return cache.fetch(engine_key(sha256, ranges, halves, options, device), make, meta)


def _plan(
    file: Path, ranges: Mapping[str, Range], halves: Mapping[str, Layout], options: TensorRTOptions, timing: Path
) -> tuple[bytes, str]:
    """An engine for inputs of these shapes, serialised, and what it is made of."""
    trt, complaints = tensorrt(), Complaints()
    builder = started(trt.Builder, complaints)
    network = builder.create_network(release.network_flags(trt))
    parser = trt.OnnxParser(network, complaints.logger)
    if not parser.parse_from_file(str(file)):
        raise EngineError(_refusal(parser, file))
    if options.precision == "fp16":
        _pass_halves(trt, network, halves)
    config = builder.create_builder_config()
    release.set_precision(trt, config, options.precision)
    release.share_profiles(trt, config)
    release.use_own_tactics(trt, config)
    release.keep_to_one_stream(config)
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    profile = builder.create_optimization_profile()
    for name, entry in ranges.items():
        profile.set_shape(name, entry.least, entry.best, entry.most)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"{file.name}: TensorRT refuses the shapes {ranges}: {complaints.last()}")
    known = config.create_timing_cache(_timings(timing) if timing.is_file() else b"")
    config.set_timing_cache(known, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{file.name}: {version()} built no engine: {complaints.last()}{complaints.of_memory()}")
    if timing.is_file():  # another build may have added to it meanwhile
        known.combine(config.create_timing_cache(_timings(timing)), ignore_mismatch=False)
    _keep(timing, bytes(known.serialize()))
    engine = started(trt.Runtime, complaints).deserialize_cuda_engine(bytes(plan))
    if engine is None:  # it is built all the same, and may be loaded where there is room
        return bytes(plan), layers_of(f"not loaded: {complaints.last()}")
    told = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    return bytes(plan), layers_of(told)


def layers_of(told: str) -> str:
    """What TensorRT says of an engine's layers, as JSON that others read too.

    It puts control characters between the names of layers that it has fused, as they are. What is no JSON at all is kept under
    `unreadable`: the engine is none the worse for it.
    """
    try:
        return json.dumps(json.loads(told, strict=False), indent=1)
    except ValueError:
        return json.dumps({"unreadable": told})


def _pass_halves(trt: Any, network: Any, halves: Mapping[str, Layout]) -> None:
    """Boundary tensors of floats become fp16, in a layout that all engines of a model agree on."""
    tensors = [network.get_input(i) for i in range(network.num_inputs)]
    tensors += [network.get_output(i) for i in range(network.num_outputs)]
    for tensor in tensors:
        if tensor.name in halves and tensor.dtype == trt.float32:
            tensor.dtype = trt.float16
            tensor.allowed_formats = 1 << int(getattr(trt.TensorFormat, halves[tensor.name]))


def _refusal(parser: Any, file: Path) -> str:
    """Every error with the node that caused it."""
    nodes = onnx.load(str(file), load_external_data=False).graph.node
    told = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        number, name = release.refused_node(error)
        node = nodes[number] if 0 <= number < len(nodes) else None
        at = "" if node is None else f"node {name or node.name or number} ({node.op_type}): "
        told.append(f"{at}{error.desc()}")
    return f"{file.name}: {version()} cannot take it: {'; '.join(told) or 'no reason given'}"


def check_writable(timing: Path) -> None:
    """Before minutes go into what cannot be written.

    Raises:
        EngineError: the file is a folder, or lies in one that takes no file.
    """
    above = next(folder for folder in timing.absolute().parents if folder.exists())
    if timing.is_dir() or not above.is_dir() or not os.access(above, os.W_OK):
        raise EngineError(
            f"--timing-cache {timing} cannot be written: {'it is a folder' if timing.is_dir() else f'{above} takes no file'}; "
            "name a file in a folder that does"
        )


def _timings(timing: Path) -> bytes:
    """What is in a file of timings, which TensorRT then judges itself."""
    with timing.open("rb") as file:
        data = file.read(_MOST_TIMINGS + 1)
    if len(data) > _MOST_TIMINGS:
        raise EngineError(
            f"{timing} has more than {_MOST_TIMINGS} bytes, wanted a cache of kernel timings: is it the right file?"
        )
    return data


def _keep(timing: Path, data: bytes) -> None:
    timing.parent.mkdir(parents=True, exist_ok=True)
    fresh = timing.with_name(f".{timing.name}.new")
    fresh.write_bytes(data)
    fresh.replace(timing)


def _plain(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in ".-" else "_" for sign in text)
