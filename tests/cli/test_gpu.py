"""What is decided for a GPU before there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dvabatch_cli.build import _export
from dvabatch_cli.config import config_of
from dvabatch_cli.gpu import PreparedGpu, batch_made_for
from dvabatch_cli.ground import tensorrt_options
from engines.cache import CachedEngine
from engines.onnxruntime import OnnxRuntimeOptions
from engines.tensorrt.options import TensorRTOptions
from slicer import check_stages


@pytest.mark.parametrize(
    ("favored", "max_batch", "made_for"),
    [([8, 1, 1], 32, 8), ([1, 1, 1], 64, 16), ([32, 8], 32, 32), ([16, 16], 8, 8), ([1], 1, 1), ([2], 3, 2)],
)
def test_all_engines_are_made_for_one_batch(favored: list[int], max_batch: int, made_for: int) -> None:
    assert batch_made_for(favored, max_batch) == made_for


def test_engines_for_all_are_made_for_more_than_a_small_batch() -> None:
    assert batch_made_for([1], 8, 4) == 5
    assert batch_made_for([1], 64, 2) == 16


def test_engines_are_built_as_the_config_says() -> None:
    engine = {
        "precision": "fp16", "max_batch": 16, "small_batch": 2, "builder_optimization_level": 4, "workspace_mib": 8,
    }  # fmt: skip
    policies, load = [{"scheduler_type": "NORMAL"}], {"utilization": 0.5, "num_requests": 10}
    model = {"network": "tiny_resnet"}
    config = config_of({"name": "t", "model": model, "engine": engine, "policies": policies, "load": load}, source="t")
    assert tensorrt_options(config) == TensorRTOptions("fp16", 16, (), 4, 8 << 20, small_batch=2)


def prepared(stages: Path, folder: Path, small_batch: int) -> PreparedGpu:
    """On engines that nobody built: each has a folder of its own."""
    manifest = check_stages(stages).manifest
    engines = [CachedEngine(f"key {i}", folder / str(i), True, 1.0, 1, {}) for i in range(len(manifest.stages) + 1)]
    for engine in engines:
        engine.folder.mkdir(parents=True)
    options = TensorRTOptions(max_batch=8, small_batch=small_batch)
    return PreparedGpu(stages, manifest, tuple(engines[1:]), engines[0], OnnxRuntimeOptions(), options, "a GPU")


@pytest.mark.parametrize("small_batch", [0, 2])
def test_stages_and_the_whole_are_loaded_with_their_engines_for_small_batches(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_batch: int
) -> None:
    loaded: list[tuple[Path, Any]] = []
    monkeypatch.setattr("dvabatch_cli.gpu.TensorRTModule", lambda file, *_, small, **__: loaded.append((file, small)))
    monkeypatch.setattr("dvabatch_cli.gpu.version", lambda: "tensorrt 8.6.0")
    made = prepared(workshop / "stages", tmp_path, small_batch)
    made.load_whole()
    made.load_stages()
    folders = [made.whole.folder, *(engine.folder for engine in made.engines)]
    assert loaded == [
        (folder / "engine.plan", (small_batch, folder / "small_engine.plan") if small_batch else None)
        for folder in folders
    ]


def test_what_an_engine_for_small_batches_is_made_of_is_exported_too(workshop: Path, tmp_path: Path) -> None:
    made = prepared(workshop / "stages", tmp_path / "cache", 2)
    plain, doubled = made.engines[0], made.whole
    (plain.folder / "layers.json").write_text("of all")
    (doubled.folder / "layers.json").write_text("of all")
    (doubled.folder / "small_layers.json").write_text("of few")
    _export(made, ["stage 0", "whole model"], [plain, doubled], tmp_path / "out")
    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {
        "stage_0.json": "of all",
        "whole_model.json": "of all",
        "whole_model_small.json": "of few",
    }
