"""tiny_resnet, sliced into three stages and built: a real model that a test can afford."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvabatch.models import write_network
from engines.base import Array
from engines.cache import EngineCache
from engines.onnxruntime import ENGINE_FILE, OnnxRuntimeEngine, OnnxRuntimeOptions, build
from slicer import Manifest, SliceOptions, slice_model

STAGES = 3
ROW = (3, 32, 32)
OPTIONS = OnnxRuntimeOptions(threads=1)


@dataclass(frozen=True, slots=True)
class Tiny:
    """The stages of tiny_resnet in a folder, and the cache that holds their engines."""

    folder: Path
    manifest: Manifest
    cache: EngineCache

    def stage(self, index: int, max_batch: int = 8) -> OnnxRuntimeEngine:
        """Stage `index`, built; enter it before use."""
        spec = self.manifest.stages[index]
        built = build(self.folder / spec.file, spec.sha256, OPTIONS, self.cache, label=f"stage {index}")
        file = built.folder / ENGINE_FILE
        return OnnxRuntimeEngine(file, spec.inputs, spec.outputs, max_batch=max_batch, key=built.key, options=OPTIONS)

    def stages(self, max_batch: int = 8) -> list[OnnxRuntimeEngine]:
        return [self.stage(index, max_batch) for index in range(len(self.manifest.stages))]

    def whole(self) -> OnnxRuntimeEngine:
        """The model's own file, as it was written."""
        return OnnxRuntimeEngine(
            self.folder / self.manifest.model_file,
            self.manifest.inputs,
            self.manifest.outputs,
            max_batch=8,
            key="whole",
            options=OPTIONS,
            optimised=False,
        )


def make_tiny(folder: Path, stages: int = STAGES) -> Tiny:
    """Writes and slices tiny_resnet below `folder`."""
    model = write_network("tiny_resnet", folder / "tiny.onnx", seed=1)
    cut = folder / "stages"
    manifest = slice_model(model, cut, SliceOptions(stages, max_batch=2, threads=1))
    return Tiny(cut, manifest, EngineCache(folder / "cache"))


def images(count: int, seed: int = 0) -> Array:
    """Rows that no two queries share."""
    return np.random.default_rng(seed).standard_normal((count, *ROW)).astype(np.float32)
