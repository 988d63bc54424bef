"""What differs between releases of TensorRT, from 8.6 on, and nothing else. What is there is asked for, not assumed.

| | 8.6 | 10 | 11 |
| --- | --- | --- | --- |
| networks with an explicit batch | a flag | the only kind; the flag does nothing | the flag is gone |
| contexts that share a profile | a preview feature | always | always |
| precision | flags of the builder | flags, deprecated | strongly typed networks: the types of the model |
| a context's memory | `device_memory` | `set_device_memory` | `set_device_memory` |
| a context without memory | a method of its own | a strategy of `create_execution_context` | the same |
| the size of that memory | `device_memory_size` | `device_memory_size_v2` | `device_memory_size_v2` |
| a parser's error | the node's number | its name and operator too | the same |
"""

from __future__ import annotations

from typing import Any

from engines.errors import BackendMissingError

OLDEST = (8, 6)


def check(trt: Any) -> None:
    """Raises:
    BackendMissingError: this release is older than those that are known.
    """
    parts = tuple(int(part) for part in str(trt.__version__).split(".")[:2])
    if parts < OLDEST:
        raise BackendMissingError(
            f"TensorRT {trt.__version__} is installed, wanted {'.'.join(map(str, OLDEST))} or newer: "
            "pip install --upgrade tensorrt"
        )


def network_flags(trt: Any) -> int:
    """The flags of a network that the ONNX parser fills."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
    return 0 if flag is None else 1 << int(flag)


def set_precision(trt: Any, config: Any, precision: str) -> None:
    """Raises:
    BackendMissingError: this release builds only what the model's own types say.
    """
    flags = trt.BuilderFlag
    if precision == "fp16":
        if not hasattr(flags, "FP16"):
            raise BackendMissingError(
                f"TensorRT {trt.__version__} builds strongly typed networks only, and this model is fp32: "
                "use --precision fp32, or TensorRT 8.6 to 10"
            )
        config.set_flag(flags.FP16)
    if hasattr(flags, "TF32") and precision == "fp32":
        config.clear_flag(flags.TF32)


def share_profiles(trt: Any, config: Any) -> None:
    """Lets all contexts of an engine use its one profile."""
    features = getattr(trt, "PreviewFeature", None)
    if features is not None and hasattr(features, "PROFILE_SHARING_0806"):
        config.set_preview_feature(features.PROFILE_SHARING_0806, True)


def keep_to_one_stream(config: Any) -> None:
    """A launch stays on the stream it was given, so that others beside it get what the profile says."""
    if hasattr(config, "max_aux_streams"):
        config.max_aux_streams = 0


def use_own_tactics(trt: Any, config: Any) -> None:
    """Convolutions of TensorRT's own: those of cuBLAS and cuDNN need libraries that newer releases left out."""
    sources = 0
    for name in ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"):
        source = getattr(trt.TacticSource, name, None)
        if source is not None:
            sources |= 1 << int(source)
    config.set_tactic_sources(sources)


def context_bytes(engine: Any) -> int:
    """Device memory that a context of this engine works in."""
    size = getattr(engine, "device_memory_size_v2", None)
    return int(engine.device_memory_size if size is None else size)


def bare_context(trt: Any, engine: Any) -> Any:
    """A context that is given its memory; None if TensorRT refuses."""
    if hasattr(engine, "create_execution_context_without_device_memory"):
        return engine.create_execution_context_without_device_memory()
    return engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)


def give_memory(context: Any, address: int, size_bytes: int) -> None:
    if hasattr(context, "set_device_memory"):
        context.set_device_memory(address, size_bytes)
    else:
        context.device_memory = address


def refused_node(error: Any) -> tuple[int, str | None]:
    """The number of the node that the parser refused, and its name where this release says it."""
    name = error.node_name() if hasattr(error, "node_name") else None
    return int(error.node()), name or None
