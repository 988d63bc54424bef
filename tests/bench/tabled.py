"""Policies on the latency tables of configs/tables/: what the simulated benchmarks have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.entry import FillOrWait, JustInTime
from dvabatch.batching.policies.policy import InputDva
from dvabatch.batching.profile import Profile
from dvabatch.loadgen import Schedule, make_schedule
from dvabatch.loadgen.lengths import LengthDistribution
from dvabatch.loadgen.processes import Poisson
from dvabatch.runtime.journal import Journal
from dvabatch_cli.config import Config, load_config
from dvabatch_cli.ground import lay_ground
from dvabatch_cli.wiring import contender_of, lengths_of, limits_of

# Uneven, so that batches really split and merge between stages: by the table, every stage favours the largest batch.
FAVORED = "[8, 16, 16, 8]"


@dataclass(frozen=True, slots=True)
class Tabled:
    """One policy of a config on its table."""

    name: str
    table: str
    policy: Policy
    limits: Limits
    profile: Profile
    lengths: LengthDistribution | None
    capacity_rps: float

    def schedule(self, rate_rps: float, queries: int, seed: int = 1) -> Schedule:
        return make_schedule(Poisson(rate_rps), self.lengths, num_requests=queries, max_duration_s=None, seed=seed)


def tabled(config: Config) -> list[Tabled]:
    """Every policy of a config whose backend is a table."""
    ground = lay_ground(config, lambda _: None)
    table = ground.profile.name.partition("_h100")[0]
    found = []
    for options in config.policies:
        contender = contender_of(options, ground.profile)
        limits = limits_of(config, ground.profile.stages, contender.max_queue)
        found.append(
            Tabled(
                contender.name, table, contender.policy, limits, ground.profile, lengths_of(config), ground.capacity_rps
            )
        )
    return found


def resnet_policies() -> list[Tabled]:
    """NORMAL and the stage-wise policies of configs/resnet_152_table.json, splitting and merging; and INPUT_DVA, which a
    config gives to models with lengths only, in the one lane that this table has."""
    changes = (f"policies.2.favor_per_stage={FAVORED}", f"policies.3.favor_per_stage={FAVORED}")
    found = tabled(load_config("resnet_152_table", changes))
    entry = FillOrWait(found[0].limits.max_batch, max_delay_ns=0, instances=4)
    return [*found, replace(found[0], name="INPUT_DVA", policy=InputDva(entry))]


def ahead(of: Tabled) -> Tabled:
    """AUTO on the same table, with one setting that opens one batch ahead: what it costs to ask when that is due."""
    entry = JustInTime(FillOrWait(of.limits.max_batch, max_delay_ns=0, instances=2))
    return replace(of, name="AUTO ahead", policy=Auto((Setting(math.inf, entry, in_room=False, catching_up=False),)))


def length_policies() -> list[Tabled]:
    """The policies for sequence lengths of configs/bert_base_table.json."""
    return [each for each in tabled(load_config("bert_base_table")) if each.name != "NORMAL"]


def mean_batch(journal: Journal, profile: Profile) -> float:
    """Rows a launch, over all stages."""
    sizes = [size for work in journal.stages(profile) for size in work.batch_sizes.items()]
    return sum(rows * count for rows, count in sizes) / sum(count for _, count in sizes)
