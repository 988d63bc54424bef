"""A small network on a real GPU, and why that may not be possible here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    {
        "scheduler_type": "AUTO",
        "settings": [
            {"up_to": 0.5, "max_batch_size": 4, "instances": 4, "in_room": True, "catching_up": True},
            {"up_to": 1000, "max_batch_size": 8, "instances": 1, "ahead": True},
        ],
    },
]


LANES = [16, 32, 64]
POLICIES_OF_LENGTHS: list[dict[str, Any]] = [
    {"scheduler_type": "NORMAL", "preferred_seq_len": LANES, "instances": 2},
    {"scheduler_type": "NORMAL_INPUT", "preferred_seq_len": LANES, "instances": 2},
    {"scheduler_type": "INPUT_DVA", "preferred_seq_len": LANES},
    {
        "scheduler_type": "LOAD_DVA",
        "preferred_seq_len": LANES,
        "max_batch_size": 3,
        "max_allow_merge_stage": 1,
        "max_allow_merge_batchsize": 8,
    },
    {
        "scheduler_type": "AUTO",
        "preferred_seq_len": LANES,
        "settings": [
            {"up_to": 0.5, "max_batch_size": 4, "instances": 4, "mixed": True},
            {"up_to": 1000, "max_batch_size": 8, "instances": 4},
        ],
    },
]


def tiny_bert_config(folder: Path, **engine: Any) -> Path:
    """Queries of 4 to 64 tokens, in three lanes."""
    document = {
        "name": "gpu_bert",
        "model": {"network": "tiny_bert", "input": [128]},
        "inputs": {
            "input_ids": {"pad": 0, "low": 0, "high": 1000},
            "attention_mask": {"pad": 0, "mask_of": "input_ids"},
        },
        "slicing": {"stages": 2},
        "engine": {"backend": "tensorrt", "max_batch": 8, "builder_optimization_level": 0, **engine},
        "policies": POLICIES_OF_LENGTHS,
        "load": {
            "request_rate": 4000,
            "num_requests": 400,
            "attempts": 1,
            "lengths": {"distribution": "uniform", "low": 4, "high": 64},
        },
        "checks": {"sample": 200},
    }
    path = folder / "gpu_bert.json"
    path.write_text(json.dumps(document))
    return path


def tiny_config(folder: Path, *, faults: Sequence[Mapping[str, Any]] = (), **engine: Any) -> Path:
    document = {
        "name": "gpu",
        "model": {"network": "tiny_resnet", "input": [3, 32, 32]},
        "slicing": {"stages": 3},
        "engine": {"backend": "tensorrt", "max_batch": 8, "builder_optimization_level": 0, **engine},
        "policies": POLICIES,
        "load": {"request_rate": 4000, "num_requests": 400, "attempts": 1},
        "checks": {"sample": 200},
        "faults": list(faults),
    }
    path = folder / "gpu.json"
    path.write_text(json.dumps(document))
    return path
