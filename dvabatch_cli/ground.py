"""What an experiment stands on: a profile and a capacity, and the built stages where there is a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dvabatch.batching.profile import Profile
from dvabatch_cli.config import Config
from dvabatch_cli.errors import CommandError
from dvabatch_cli.wiring import lane_mix, limits_of, payloads_of
from dvabatch_cli.workspace import Prepared, prepare, profile_of, read_table, stages_of

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """What an experiment stands on: a profile, and the built stages where there is a model."""

    profile: Profile
    slicing_tax: Mapping[str, float]
    prepared: Prepared | None
    capacity_rps: float


def lay_ground(config: Config, say: Say) -> Ground:
    """Slices, builds and profiles what is missing; a latency table needs none of it."""
    if config.engine.backend == "table":
        assert config.table_path is not None
        profile = read_table(config.table_path)
        tax: Mapping[str, float] = {}
        prepared = None
    else:
        if config.engine.precision != "fp32":
            raise CommandError(
                f"config {config.name}: engine.precision is {config.engine.precision}, which needs the backend tensorrt; "
                "on onnxruntime set it to fp32"
            )
        prepared = prepare(
            stages_of(config, say), backend=config.engine.backend, threads=config.engine.threads, say=say
        )
        limits = limits_of(config, len(prepared.manifest.stages))
        pool = payloads_of(config, prepared.manifest.inputs)
        measured = profile_of(prepared, limits, lambda length: pool.row(0, length), say)
        profile, tax = measured.profile, measured.slicing_tax
    _check_fit(config, profile)
    return Ground(profile, tax, prepared, profile.capacity_rps(config.engine.max_batch, lane_mix(config)))


def _check_fit(config: Config, profile: Profile) -> None:
    """A table has stages, lanes and sizes of its own; the config must be about the same."""
    if config.slicing.stages != profile.stages:
        raise CommandError(
            f"config {config.name}: slicing.stages is {config.slicing.stages}, table {profile.name} has {profile.stages}; "
            f"set slicing.stages to {profile.stages}"
        )
    if (config.lanes or (None,)) != profile.lanes:
        raise CommandError(
            f"config {config.name}: the policies' preferred_seq_len are {list(config.lanes)}, table {profile.name} has lanes "
            f"{list(profile.lanes)}; give them the table's"
        )
    if config.engine.max_batch > profile.max_batch:
        raise CommandError(
            f"config {config.name}: engine.max_batch is {config.engine.max_batch}, table {profile.name} ends at "
            f"{profile.max_batch}; lower engine.max_batch"
        )
