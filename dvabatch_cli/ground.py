"""What an experiment stands on: a profile and a capacity, and the built stages where there is a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dvabatch.batching.profile import Profile
from dvabatch.runtime.device_launcher import ROOM_FOR_GRAPHS
from dvabatch_cli.config import Config
from dvabatch_cli.config.engine import AUTO, SlicingSection
from dvabatch_cli.config.paths import render
from dvabatch_cli.errors import CommandError
from dvabatch_cli.gpu import backend_of, prepare_on, profile_on
from dvabatch_cli.wiring import lane_mix, limits_of, payloads_of
from dvabatch_cli.workspace import Prepared, read_table, stages_of
from engines.tensorrt.options import TensorRTOptions

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
        _check_options(config, profile.stages)
        tax: Mapping[str, float] = {}
        prepared: Prepared | None = None
    else:
        backend = backend_of(config.engine.backend, say)
        stages = stages_of(config, say)
        _check_options(config, len(stages.manifest.stages))  # before engines are built and measured
        prepared = prepare_on(
            backend,
            stages,
            tensorrt_options(config),
            threads=config.engine.threads,
            graphs=ROOM_FOR_GRAPHS if config.engine.cuda_graphs else 0,
            say=say,
        )
        limits = limits_of(config, len(prepared.manifest.stages))
        pool = payloads_of(config, prepared.manifest.inputs)
        measured = profile_on(prepared, limits, pool, say, keep_awake=config.engine.keep_awake)
        profile, tax = measured.profile, measured.slicing_tax
    _check_fit(config, profile)
    return Ground(profile, tax, prepared, profile.capacity_rps(config.engine.max_batch, lane_mix(config)))


def tensorrt_options(config: Config) -> TensorRTOptions:
    """How TensorRT builds the engines of a config."""
    engine = config.engine
    workspace = None if engine.workspace_mib is None else engine.workspace_mib << 20
    return TensorRTOptions(
        engine.precision,
        engine.max_batch,
        config.lanes,
        engine.builder_optimization_level,
        workspace,
        small_batch=engine.small_batch,
    )


def _check_fit(config: Config, profile: Profile) -> None:
    """A table has stages, lanes and sizes of its own; the config must be about the same."""
    if config.slicing.stages not in (AUTO, profile.stages):
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


def _check_options(config: Config, stages: int) -> None:
    """What policies say of single stages could not be checked while their number was left to the slicer."""
    if config.slicing.stages != AUTO:
        return
    findings = replace(config.parts(), slicing=SlicingSection(stages=stages)).cross_findings()
    told = [f"{render(each.path)}: got {each.came}, wanted {each.wanted}" for each in findings]
    if told:
        raise CommandError(
            f"config {config.name}: slicing.stages is {AUTO}, which came out as {stages}: {'; '.join(told)}; "
            "leave the option out, or give slicing.stages a number"
        )
