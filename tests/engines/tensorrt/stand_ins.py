"""TensorRT as far as our code asks it, in the shapes of releases 8.6, 10 and 11: written by hand, and no more than that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Config:
    """A builder's config that keeps what it is told."""

    def __init__(self, *, with_streams: bool = True) -> None:
        self.flags: set[Any] = {"TF32"}
        self.features: dict[Any, bool] = {}
        self.sources = -1
        if with_streams:
            self.max_aux_streams = 7

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag)

    def set_preview_feature(self, feature: Any, on: bool) -> None:
        self.features[feature] = on

    def set_tactic_sources(self, sources: int) -> None:
        self.sources = sources


class OldEngine:
    """8.6: a method for contexts without memory, one size."""

    device_memory_size = 1000

    def create_execution_context_without_device_memory(self) -> str:
        return "bare"


class NewEngine:
    """10 and 11: a strategy, and a size that may pass two gigabytes."""

    device_memory_size = -1
    device_memory_size_v2 = 3 << 31

    def create_execution_context(self, strategy: str) -> str:
        return f"context {strategy}"


class OldContext:
    device_memory = 0


class NewContext:
    def __init__(self) -> None:
        self.given: tuple[int, int] | None = None

    def set_device_memory(self, address: int, size_bytes: int) -> None:
        self.given = address, size_bytes


class OldError:
    def node(self) -> int:
        return 3


class NewError(OldError):
    def node_name(self) -> str:
        return "conv_3"


_TACTICS = SimpleNamespace(CUBLAS=0, CUDNN=2, EDGE_MASK_CONVOLUTIONS=3, JIT_CONVOLUTIONS=4)
_STRATEGY = SimpleNamespace(USER_MANAGED="user managed")

RELEASE_8_6 = SimpleNamespace(
    __version__="8.6.0",
    NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0),
    BuilderFlag=SimpleNamespace(FP16="FP16", TF32="TF32"),
    PreviewFeature=SimpleNamespace(PROFILE_SHARING_0806="sharing"),
    TacticSource=_TACTICS,
)
RELEASE_10 = SimpleNamespace(
    __version__="10.7.0.post1",
    NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0, STRONGLY_TYPED=1),
    BuilderFlag=SimpleNamespace(FP16="FP16", TF32="TF32"),
    PreviewFeature=SimpleNamespace(),
    TacticSource=_TACTICS,
    ExecutionContextAllocationStrategy=_STRATEGY,
)
RELEASE_11 = SimpleNamespace(
    __version__="11.0.1",
    NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
    BuilderFlag=SimpleNamespace(TF32="TF32"),
    TacticSource=SimpleNamespace(JIT_CONVOLUTIONS=4),
    ExecutionContextAllocationStrategy=_STRATEGY,
)
ALL = {"8.6": RELEASE_8_6, "10": RELEASE_10, "11": RELEASE_11}
