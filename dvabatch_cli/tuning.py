"""AUTO's settings: for every load the way of batching that does best on a profile, found in simulation and kept.

What is tuned on is no run's load: Poisson arrivals at fixed utilizations, and lengths evenly spread up to the longest lane.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import TypeGuard

from pydantic import TypeAdapter, ValidationError

from dvabatch import __version__
from dvabatch.batching.limits import Limits
from dvabatch.batching.profile import NS_PER_US, Profile
from dvabatch.loadgen.lengths import UniformLength, share_per_lane
from dvabatch.loadgen.processes import Poisson
from dvabatch.reporting.files import write_text
from dvabatch_cli.config import Config
from dvabatch_cli.config.policies import AnyPolicy, AutoOptions, AutoSetting
from dvabatch_cli.config.section import LONGEST_DELAY_US
from dvabatch_cli.grids import INSTANCES, sizes_up_to
from dvabatch_cli.halving import Map, Round, Search, pool
from dvabatch_cli.wiring import limits_of
from dvabatch_cli.workspace import read_table
from engines.cache import default_root

BATCHES = (2, 4, 8, 16, 32)
DELAYS_OF_WHOLE = (0.0, 0.2, 0.4, 0.8, 1.6, 3.2)
_SEED = 77_003
_WORTH = 1.005  # times as long: what is closer than that is not told apart by a profile
_BEYOND = 1000.0  # the bound of the last setting, which serves whatever comes
_FORM = 9  # of what is kept: settings of another form are tuned anew
_SETTINGS = TypeAdapter(tuple[AutoSetting, ...])


@dataclass(frozen=True, slots=True)
class Effort:
    """How thoroughly AUTO is tuned: at which loads, and by which rounds of halving at each.

    What is found is kept under a name that ends in `mark`: settings found in a hurry never pass for others.
    """

    utilizations: Sequence[float]
    rounds: Sequence[Round]
    mark: str
    lasting: str


FULL = Effort(
    (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.97),
    (Round(1_000, 600), Round(16, 2_500), Round(4, 10_000)),
    mark="",
    lasting="about a minute",
)
QUICK = Effort((0.1, 0.5, 0.9), (Round(1_000, 100), Round(6, 500), Round(2, 1_500)), mark="_quick", lasting="seconds")


def with_settings(
    config: Config, profile: Profile, say: Callable[[str], None], effort: Effort = FULL
) -> list[AnyPolicy]:
    """The policies of a config; an AUTO without settings gets those tuned for this profile and these limits."""
    return [
        policy.model_copy(update={"settings": kept_settings(config, profile, policy, say, effort)})
        if _lacks_settings(policy)
        else policy
        for policy in config.policies
    ]


def missing_of(config: Config, say: Callable[[str], None], effort: Effort, *, profiled: bool) -> list[str]:
    """What would have to be tuned first. With a table it is told exactly; else the profile decides, if it is there."""
    lacking = [policy for policy in config.policies if _lacks_settings(policy)]
    kept = ""
    if lacking and config.engine.backend == "table":
        assert config.table_path is not None
        profile = read_table(config.table_path)
        lacking = [policy for policy in lacking if _read(_kept(config, profile, policy, effort), say) is None]
    elif profiled:
        kept = " (if not kept)"
    return [f"AUTO's settings{kept}, tuned in simulation ({effort.lasting})"] if lacking else []


def _lacks_settings(policy: AnyPolicy) -> TypeGuard[AutoOptions]:
    return isinstance(policy, AutoOptions) and policy.settings is None


def kept_settings(
    config: Config, profile: Profile, policy: AutoOptions, say: Callable[[str], None], effort: Effort
) -> tuple[AutoSetting, ...]:
    """The tuned settings, from the cache if they were found before."""
    path = _kept(config, profile, policy, effort)
    found = _read(path, say)
    if found is not None:
        return found
    limits = limits_of(config, profile.stages)
    with pool() as across:
        settings = tune_auto(profile, limits, policy.max_batch_size, policy.foresight, across, say, effort)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, _SETTINGS.dump_json(settings, indent=1).decode())
    return settings


def tune_auto(
    profile: Profile,
    limits: Limits,
    max_batch: int,
    foresight: float,
    across: Map,
    say: Callable[[str], None],
    effort: Effort = FULL,
) -> tuple[AutoSetting, ...]:
    """The best setting at each utilization, each serving half-way to the next."""
    utilizations = effort.utilizations
    lanes = [lane for lane in profile.lanes if lane is not None]
    lengths = UniformLength(1, lanes[-1]) if lanes else None
    mix = None if lengths is None else list(share_per_lane(lengths, lanes).values())
    capacity_rps = profile.capacity_rps(limits.max_batch, mix)
    settings = list(_candidates(profile, limits, max_batch))
    apart = [[setting for setting in settings if setting.ahead is ahead] for ahead in (False, True)]
    candidates = [[_alone(setting, max_batch, foresight) for setting in some] for some in apart if some]
    say(f"tuning AUTO: {len(settings)} settings at {len(utilizations)} loads, simulated")
    best: list[AutoSetting] = []
    for utilization in utilizations:
        search = Search(profile, utilization, limits, Poisson(utilization * capacity_rps), lengths, _SEED)
        # Apart: of those ahead many are alike, and would leave no room for any other in the last round.
        ranked = (search.ranked(some, effort.rounds, across, lambda *_: None)[0] for some in candidates)
        mean_ns, found = _worth_it(*((mean_ns, _setting_of(options)) for mean_ns, options in ranked))
        # Little's law: as many are here as come in the time that one stays.
        usual = utilization * capacity_rps * mean_ns / 1e9
        best.append(found.model_copy(update={"usual": float(f"{usual:.4g}")}))
    bounds = [round((here + there) / 2, 6) for here, there in pairwise(utilizations)] + [_BEYOND]
    bounded = [setting.model_copy(update={"up_to": bound}) for setting, bound in zip(best, bounds, strict=True)]
    return tuple(_joined(bounded))


def _setting_of(options: object) -> AutoSetting:
    """The one setting of an AUTO that has it at every load."""
    assert isinstance(options, AutoOptions)
    assert options.settings is not None
    return options.settings[0]


def _worth_it(
    plain: tuple[float, AutoSetting], ahead: tuple[float, AutoSetting] | None = None
) -> tuple[float, AutoSetting]:
    """The better of two by mean response; that which opens batches ahead only where that is worth its trust in the profile."""
    return plain if ahead is None or plain[0] <= _WORTH * ahead[0] else ahead


def _candidates(profile: Profile, limits: Limits, max_batch: int) -> Iterable[AutoSetting]:
    """Ordinary batching over a grid, and with one batch ahead; and early entry while there is room, with and without catching
    up."""
    batches = sizes_up_to(max_batch, BATCHES)
    whole_us = profile.whole_ns(1, len(profile.lanes) - 1) / NS_PER_US
    most = min(limits.executors_per_stage, limits.buffer_sets)
    instances = sorted({min(count, most) for count in INSTANCES})
    mixes = (False, True) if len(profile.lanes) > 1 else (False,)
    entering = [(count, False) for count in instances]
    if most > 1 and profile.costs.host_ns(0) + profile.costs.transfer_ns(0, 1):
        entering.append((1, True))  # where it takes no time to get there, none is sooner there for being ahead
    for batch, delay, (count, ahead), mixed in product(batches, DELAYS_OF_WHOLE, entering, mixes):
        yield AutoSetting(
            up_to=_BEYOND,
            max_batch_size=batch,
            max_queue_delay_microseconds=min(LONGEST_DELAY_US, round(delay * whole_us)),
            instances=count,
            ahead=ahead,
            mixed=mixed,
        )
    ways = (False, True) if profile.stages > 1 else (False,)
    for batch, mixed, catching_up in product(batches, mixes, ways):
        yield AutoSetting(
            up_to=_BEYOND, max_batch_size=batch, instances=most, mixed=mixed, in_room=True, catching_up=catching_up
        )


def _alone(setting: AutoSetting, max_batch: int, foresight: float) -> AutoOptions:
    """AUTO with this setting at every load."""
    return AutoOptions(
        scheduler_type="AUTO", name="AUTO", max_batch_size=max_batch, settings=(setting,), foresight=foresight
    )


def _joined(settings: Sequence[AutoSetting]) -> Iterable[AutoSetting]:
    """Neighbours that do the same are one."""
    for setting, following in pairwise((*settings, None)):
        assert setting is not None
        here = {"up_to": setting.up_to, "usual": setting.usual}
        if following is None or following.model_copy(update=here) != setting:
            yield setting


def _kept(config: Config, profile: Profile, policy: AutoOptions, effort: Effort) -> Path:
    """Named by everything that the settings depend on."""
    limits = limits_of(config, profile.stages)
    said = json.dumps([__version__, _FORM, profile.digest, repr(limits), policy.max_batch_size, policy.foresight])
    return default_root() / "tuned" / f"{hashlib.sha256(said.encode()).hexdigest()[:24]}{effort.mark}.json"


def _read(path: Path, say: Callable[[str], None]) -> tuple[AutoSetting, ...] | None:
    """The settings in a file; None if there are none, or what is there is damaged, which is said."""
    try:
        return _SETTINGS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        say(f"{path} is damaged ({error.error_count()} errors): AUTO is tuned anew")
        return None
