"""The baselines of a comparison: ordinary batching untuned, and ordinary batching at its best.

*Untuned* is a dynamic batcher as it is often left: batches up to 32, 2 ms of delay. *Swept* is the best of NORMAL (and of
NORMAL_INPUT, for models with lengths) over a grid, found in simulation on the measured profile with other seeds than the
comparison's. The grid is searched by successive halving: all settings on short runs, the better ones on longer, the last
few on at least 50,000 queries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dvabatch.batching.limits import Limits
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import Process
from dvabatch.loadgen.processes import Constant, Gamma, Poisson
from dvabatch_cli.config import Config
from dvabatch_cli.config.policies import AnyPolicy, EntryOptions, NormalInputOptions, NormalOptions
from dvabatch_cli.grids import grid_of
from dvabatch_cli.halving import SEED_OFFSET, Round, Search, pool
from dvabatch_cli.wiring import Contender, LoadPoint, contender_of, lengths_of, limits_of

UNTUNED_BATCH, UNTUNED_DELAY_US = 32, 2000
BEST = 3

FULL = (Round(10_000, 1_000), Round(24, 5_000), Round(4, 50_000))
QUICK = (Round(10_000, 500), Round(12, 2_000), Round(4, 8_000))
_STEADY = (Poisson, Constant, Gamma)
_WHOLE = 10  # times as many queries


def untuned(config: Config, profile: Profile) -> Contender:
    """Ordinary batching as it is often left."""
    options = {
        "name": "untuned",
        "max_batch_size": min(UNTUNED_BATCH, config.engine.max_batch),
        "max_queue_delay_microseconds": UNTUNED_DELAY_US,
        "preferred_seq_len": config.lanes or None,
    }
    return contender_of(_section("NORMAL_INPUT" if config.lanes else "NORMAL", options), profile, "untuned")


def grid(config: Config, limits: Limits) -> list[AnyPolicy]:
    """Every setting of ordinary batching that these engines can run."""
    names = {"NORMAL": "swept", "NORMAL_INPUT": "swept input"} if config.lanes else {"NORMAL": "swept"}
    lanes = {"max_batch_size": limits.max_batch, "preferred_seq_len": config.lanes or None}
    kinds = [_section(kind, {"name": name, **lanes}) for kind, name in names.items()]
    return [_named(setting) for kind in kinds for setting in grid_of(kind, limits)]


def _named(setting: AnyPolicy) -> AnyPolicy:
    """By what it sets, so that a report tells the best few apart."""
    assert isinstance(setting, EntryOptions)
    told = f"b{setting.max_batch_size} d{setting.max_queue_delay_microseconds} i{setting.instances}"
    return setting.model_copy(update={"name": f"{setting.name} {told}"})


def swept(
    config: Config, profile: Profile, point: LoadPoint, *, rounds: Sequence[Round] = FULL, say: Callable[[str], None]
) -> list[Contender]:
    """The best few settings at a load, best first, by mean response in simulation."""
    limits = limits_of(config, profile.stages)
    search = Search(
        profile,
        point.of_capacity,
        limits,
        point.process,
        lengths_of(config, point.process),
        max(config.load.seeds) + SEED_OFFSET,
    )
    with pool() as across:
        ranked = search.ranked(
            grid(config, limits),
            _meeting_all(point.process, rounds),
            across,
            lambda settings, queries: say(f"sweeping {settings} settings of NORMAL, {queries} queries each, simulated"),
        )
    return [contender_of(setting, profile, "swept") for _, setting in ranked[:BEST]]


def _meeting_all(process: Process, rounds: Sequence[Round]) -> Sequence[Round]:
    """A load that changes is met whole from the first round: what is best for its beginning may be worst for its end."""
    if isinstance(process, _STEADY):
        return rounds
    return replace(rounds[0], queries=_WHOLE * rounds[0].queries), rounds[-1]


def _section(kind: str, options: dict[str, object]) -> AnyPolicy:
    section = NormalInputOptions if kind == "NORMAL_INPUT" else NormalOptions
    return section.model_validate({"scheduler_type": kind, **options})
