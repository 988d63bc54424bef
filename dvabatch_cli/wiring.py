"""From a config's sections to the parts of a run: policies, limits, arrival processes, lengths, payloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait, JustInTime
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, InputDva, LoadDva, Normal, NormalInput, OperatorDva
from dvabatch.batching.profile import NS_PER_US, Profile
from dvabatch.loadgen import InputSpec, PayloadPool, Process, Replay, Schedule, make_schedule, read_replay
from dvabatch.loadgen.lengths import (
    ConstantLength,
    HistogramLength,
    LengthDistribution,
    LognormalLength,
    UniformLength,
    share_per_lane,
)
from dvabatch.loadgen.processes import Constant, Gamma, Mmpp, Poisson, Ramp, Step
from dvabatch_cli.config import Config
from dvabatch_cli.config.lengths import ConstantLengths, HistogramLengths, LognormalLengths, UniformLengths
from dvabatch_cli.config.load import ConstantLoad, GammaLoad, MmppLoad, PoissonLoad, RampLoad, ReplayLoad, StepLoad
from dvabatch_cli.config.model import NetworkModel
from dvabatch_cli.config.policies import (
    AnyPolicy,
    AutoOptions,
    AutoSetting,
    EntryOptions,
    HybridDvaOptions,
    InputDvaOptions,
    LoadDvaOptions,
    MergeOptions,
    NormalInputOptions,
    NormalOptions,
    OperatorDvaOptions,
)
from dvabatch_cli.errors import CommandError
from slicer import TensorSpec

Role = Literal["policy", "untuned", "swept"]
_POOL_ROWS = 64


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy that takes part: its options as the report shows them, and the policy they make."""

    role: Role
    options: Mapping[str, Any]
    policy: Policy
    max_queue: int | None = None
    drop_late: bool = False

    @property
    def name(self) -> str:
        return str(self.options.get("name") or self.options["scheduler_type"])


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One rate of a load, for all its seeds. `utilization` is None where the load is not told so; `of_capacity` is the same
    part in any case, of loads that change the mean."""

    process: Process
    utilization: float | None
    rate_rps: float
    of_capacity: float

    def schedule(self, config: Config, seed: int) -> Schedule:
        """The schedule that every contender meets at this point."""
        load = config.load
        bounds = [bound for bound in (load.duration_s, load.max_duration_s) if bound is not None]
        return make_schedule(
            self.process,
            lengths_of(config, self.process),
            num_requests=load.num_requests,
            max_duration_s=min(bounds, default=None),
            seed=seed,
        )


def limits_of(config: Config, stages: int, max_queue: int | None = None, drop_late: bool = False) -> Limits:
    """What a machine of this config has to work with."""
    engine = config.engine
    return Limits(
        stages,
        engine.max_batch,
        engine.buffer_set_size,
        engine.executors_per_stage,
        config.lanes or (None,),
        max_queue,
        drop_late,
    )


def contender_of(options: AnyPolicy, profile: Profile, role: Role = "policy") -> Contender:
    """The policy that a config's section describes; relative thresholds are times of the whole model at batch 1."""
    options = _settled(options, profile.stages)
    policy = policy_of(options, profile)
    return Contender(role, options.model_dump(mode="json"), policy, options.max_queue, options.drop_late)


def policy_of(options: AnyPolicy, profile: Profile) -> Policy:
    """The policy of a validated section. AUTO's settings must be there: `tuning.with_settings` finds them."""
    whole_us = profile.whole_ns(1, len(profile.lanes) - 1) / NS_PER_US
    match options:
        case NormalOptions():
            return Normal(_entry(options, whole_us))
        case NormalInputOptions():
            return NormalInput(_entry(options, whole_us, mixed=True))
        case InputDvaOptions():
            return InputDva(_entry(options, whole_us))
        case OperatorDvaOptions():
            return OperatorDva(_entry(options, whole_us), _favoring(options, profile))
        case LoadDvaOptions():
            return LoadDva(_catching_up(options, whole_us, profile.stages))
        case HybridDvaOptions():
            return HybridDva(_catching_up(options, whole_us, profile.stages), _favoring(options, profile))
        case AutoOptions():
            return Auto(tuple(_setting(setting) for setting in options.settings or ()), options.foresight)


def _settled(options: AnyPolicy, stages: int) -> AnyPolicy:
    """The options with the one that waited for the number of stages."""
    if isinstance(options, MergeOptions):
        return options.model_copy(update={"max_allow_merge_stage": options.merge_stage(stages)})
    return options


def _entry(options: EntryOptions, whole_us: float, *, mixed: bool = False) -> FillOrWait:
    delay_ns = round(options.queue_delay_us(whole_us) * NS_PER_US)
    return FillOrWait(options.max_batch_size, delay_ns, options.instances, mixed)


def _setting(options: AutoSetting) -> Setting:
    delay_ns = round(options.max_queue_delay_microseconds * NS_PER_US)
    instances = 2 if options.ahead else options.instances
    plain = FillOrWait(options.max_batch_size, delay_ns, instances, options.mixed)
    entry = JustInTime(plain) if options.ahead else plain
    return Setting(options.up_to, entry, options.in_room, options.catching_up, options.usual)


def _favoring(options: OperatorDvaOptions | HybridDvaOptions, profile: Profile) -> Favoring:
    there = profile.at_load(1.0)  # a batch that goes faster for a higher clock is not favoured for that
    favored = options.favor_per_stage or tuple(there.favored_batch(stage) for stage in range(profile.stages))
    return Favoring(favored)


def _catching_up(options: LoadDvaOptions | HybridDvaOptions, whole_us: float, stages: int) -> CatchingUp:
    age_us = options.merge_age_us(whole_us)
    return CatchingUp(
        options.max_batch_size,
        options.max_allow_merge_batchsize,
        options.merge_stage(stages),
        None if age_us is None else round(age_us * NS_PER_US),
    )


def load_points(config: Config, capacity_rps: float) -> list[LoadPoint]:
    """The measured points of a load, in the config's order."""
    load = config.load
    process = _process_of(config, capacity_rps)
    rates = load.rates_rps(capacity_rps)
    if not rates:
        rate = process.mean_rate_rps
        return [LoadPoint(process, rate / capacity_rps, rate, rate / capacity_rps)]
    utilizations = load.utilization or (None,) * len(rates)
    return [
        LoadPoint(process.at_rate(rate), utilization, rate, rate / capacity_rps)
        for rate, utilization in zip(rates, utilizations, strict=True)
    ]


def _process_of(config: Config, capacity_rps: float) -> Process:
    """The process at its own levels, or at any rate where the points give theirs."""
    load = config.load
    rate = (load.rates_rps(capacity_rps) or (1.0,))[0]
    match load:
        case PoissonLoad():
            return Poisson(rate)
        case ConstantLoad():
            return Constant(rate)
        case GammaLoad():
            return Gamma(rate, load.burstiness)
        case MmppLoad():
            low, high = (load.level_rps(level, capacity_rps) for level in load.states)
            return Mmpp(low, high, *(dwell / 1e3 for dwell in load.dwell_ms))
        case StepLoad():
            return Step(tuple((seconds, load.level_rps(level, capacity_rps)) for seconds, level in load.steps))
        case RampLoad():
            return Ramp(load.level_rps(load.start, capacity_rps), load.level_rps(load.to, capacity_rps), load.over_s)
        case ReplayLoad():
            assert config.replay_path is not None
            return read_replay(config.replay_path, load.format)


def lengths_of(config: Config, process: Process | None = None) -> LengthDistribution | None:
    """How long queries are: as the config says, else as a replayed recording does."""
    lengths = config.load.lengths
    match lengths:
        case None:
            return process.lengths if isinstance(process, Replay) else None
        case ConstantLengths():
            return ConstantLength(lengths.value)
        case UniformLengths():
            return UniformLength(lengths.low, lengths.high)
        case LognormalLengths():
            return LognormalLength(lengths.median, lengths.sigma, lengths.max)
        case HistogramLengths():
            return HistogramLength(lengths.by_length)


def lane_mix(config: Config) -> list[float] | None:
    """The share of the queries in each lane; those above the largest are rejected and do not count."""
    replayed = read_replay(config.replay_path) if config.replay_path is not None else None
    lengths = lengths_of(config, replayed)
    if not config.lanes or lengths is None:
        return None
    shares = share_per_lane(lengths, config.lanes)
    known = [shares.get(lane, 0.0) for lane in config.lanes]
    return [share / sum(known) for share in known]


def payloads_of(config: Config, inputs: tuple[TensorSpec, ...]) -> PayloadPool:
    """The pool of payloads for a model's inputs.

    Raises:
        CommandError: an input needs a word in the config's `inputs`.
    """
    longest = max(config.lanes, default=None)
    unknown = set(config.inputs) - {tensor.name for tensor in inputs}
    if unknown:
        raise CommandError(
            f"config {config.name}: inputs names {sorted(unknown)}, the model has {sorted(tensor.name for tensor in inputs)}"
        )
    specs = []
    for tensor in inputs:
        section = config.inputs.get(tensor.name)
        shape = tuple(None if isinstance(dim, str) else dim for dim in tensor.shape[1:])
        if None in shape and longest is None:
            raise CommandError(
                f"input {tensor.name!r} of the model has free dimensions {list(tensor.shape)}: give the policies "
                "preferred_seq_len for a sequence, or bind them with model.shapes"
            )
        words: dict[str, Any] = (
            {} if section is None else {key: getattr(section, key) for key in ("low", "high", "pad", "mask_of")}
        )
        try:
            specs.append(InputSpec(tensor.name, tensor.dtype, shape, max_length=longest, **words))
        except ValueError as error:
            raise CommandError(f"config {config.name}: inputs.{tensor.name}: {error}") from error
    return PayloadPool(specs, _POOL_ROWS, seed_of(config), file=_file_of(config))


def seed_of(config: Config) -> int:
    """The seed of payloads: that of the network's weights, 0 for a model from a file."""
    return config.model.seed if isinstance(config.model, NetworkModel) else 0


def _file_of(config: Config) -> Path | None:
    """The one file that payloads are read from, if any."""
    files = set(config.input_paths.values())
    if len(files) > 1:
        raise CommandError(f"config {config.name}: inputs come from {len(files)} files; put them into one .npz")
    return next(iter(files), None)
