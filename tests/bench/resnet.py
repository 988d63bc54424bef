"""ResNet-152 in four stages, sliced, built and profiled as a config's runs have it."""

from __future__ import annotations

import json

from dvabatch.batching.limits import Limits
from dvabatch.runtime.profiling import Effort
from dvabatch_cli.config import Config, load_config
from dvabatch_cli.wiring import payloads_of
from dvabatch_cli.workspace import MeasuredProfile, Prepared, prepare, profile_of, stages_of
from engines.base import Array
from tests.bench.figure import Scale

STAGES = 4


def config_at(side: int, max_batch: int) -> Config:
    """configs/resnet_152_04.json at another input size and largest batch."""
    changes = (f"model.input={json.dumps([3, side, side])}", f"engine.max_batch={max_batch}")
    return load_config("resnet_152_04", changes)


def prepared_at(config: Config, scale: Scale) -> Prepared:
    """Its engines, made if they are not in the cache."""
    return prepare(stages_of(config, scale.say), threads=config.engine.threads, say=scale.say)


def profiled(config: Config, prepared: Prepared, scale: Scale, effort: Effort) -> MeasuredProfile:
    """A profile measured now, one launch at a time: what several at once cost is no part of these figures."""
    pool = payloads_of(config, prepared.manifest.inputs)
    limits = Limits(STAGES, config.engine.max_batch, buffer_sets=1, executors_per_stage=1)
    return profile_of(prepared, limits, lambda length: pool.row(0, length), scale.say, again=True, effort=effort)


def row_of(config: Config, prepared: Prepared) -> dict[str, Array]:
    """One query's inputs."""
    return dict(payloads_of(config, prepared.manifest.inputs).row(0, None))
