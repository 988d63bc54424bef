"""A small network on a real GPU, and why that may not be possible here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dvabatch_cli.gpu import backend_of
from engines.errors import BackendMissingError


def missing() -> str:
    """Why these tests cannot run here; empty if they can."""
    try:
        backend_of("tensorrt", lambda _: None)
    except BackendMissingError as error:
        return str(error)
    return ""


WHY = missing()

POLICIES: list[dict[str, Any]] = [
    {"scheduler_type": "NORMAL", "instances": 2},
    {"scheduler_type": "LOAD_DVA", "max_batch_size": 3, "max_allow_merge_batchsize": 8},
    {"scheduler_type": "OPERATOR_DVA", "favor_per_stage": [2, 4, 2]},
    {"scheduler_type": "HYBRID_DVA", "max_batch_size": 3, "max_allow_merge_batchsize": 8, "favor_per_stage": [2, 4, 2]},
]


def tiny_config(folder: Path, **engine: Any) -> Path:
    document = {
        "name": "gpu",
        "model": {"network": "tiny_resnet", "input": [3, 32, 32]},
        "slicing": {"stages": 3},
        "engine": {"backend": "tensorrt", "max_batch": 8, "builder_optimization_level": 0, **engine},
        "policies": POLICIES,
        "load": {"request_rate": 4000, "num_requests": 400, "attempts": 1},
        "checks": {"sample": 200},
    }
    path = folder / "gpu.json"
    path.write_text(json.dumps(document))
    return path
