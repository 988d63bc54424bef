"""`dvabatch tune`: every policy's best options for a config's loads, found in simulation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from dvabatch_cli import tuning
from dvabatch_cli.app import app
from dvabatch_cli.bench import ConfigName
from dvabatch_cli.config import Config, load_config
from dvabatch_cli.config.policies import AnyPolicy
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.grids import grid_of
from dvabatch_cli.ground import Ground, lay_ground
from dvabatch_cli.halving import SEED_OFFSET, Map, Round, Search, pool
from dvabatch_cli.options import Json, Quick, Set
from dvabatch_cli.overrides import typed
from dvabatch_cli.wiring import LoadPoint, lengths_of, limits_of, load_points

ROUNDS = (Round(10_000, 800), Round(16, 4_000), Round(4, 20_000))
QUICK_ROUNDS = (Round(10_000, 300), Round(8, 1_000), Round(3, 3_000))


@app.command(epilog="Example: dvabatch tune resnet_152_table.json --set load.utilization=0.5")
def tune(config: ConfigName, overrides: Set = None, quick: Quick = False, as_json: Json = False) -> None:
    """Find every policy's best options for a config's loads, by simulation on its profile.

    What the profile needs and is not there is made first. Settings are sorted out on short runs, the better ones compared
    on longer, with other seeds than the config's; the mean response is that of the last round.
    """
    with one_message():
        loaded = load_config(config, overrides or ())
        say = speaker(as_json)
        began_s = time.monotonic()
        ground = lay_ground(loaded, say)
        policies = tuning.with_settings(loaded, ground.profile, say, tuning.QUICK if quick else tuning.FULL)
        found = _tuned(loaded, ground, policies, QUICK_ROUNDS if quick else ROUNDS, say)
        say(f"tuned in {time.monotonic() - began_s:.0f} s")
        if as_json:
            print_json({"name": loaded.name, "tuned": found})
        else:
            out.print(_table(found))
        say_next(typed("dvabatch simulate", config, overrides or ()), as_json)


def _tuned(
    config: Config, ground: Ground, policies: Sequence[AnyPolicy], rounds: Sequence[Round], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    with pool() as across:
        return [
            _best(config, ground, point, policy, rounds, across, say)
            for point in load_points(config, ground.capacity_rps)
            for policy in policies
        ]


def _best(
    config: Config,
    ground: Ground,
    point: LoadPoint,
    policy: AnyPolicy,
    rounds: Sequence[Round],
    across: Map,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The best of a policy's grid at one load, and what its options in the config would give."""
    limits = limits_of(config, ground.profile.stages, policy.max_queue)
    seed = max(config.load.seeds) + SEED_OFFSET
    search = Search(ground.profile, point.of_capacity, limits, point.process, lengths_of(config, point.process), seed)
    settings = grid_of(policy, limits)
    say(f"{policy.name} at {point.rate_rps:.4g} queries/s: {len(settings)} settings")
    found = search.ranked(settings, rounds, across, lambda *_: None)[0]
    given = search.ranked([policy], rounds[-1:], across, lambda *_: None)[0]
    mean_ns, best = min(given, found, key=lambda pair: pair[0])  # those in the config may have been sorted out early
    return {
        "policy": policy.name,
        "scheduler_type": policy.scheduler_type,
        "utilization": point.utilization,
        "request_rate_rps": point.rate_rps,
        "options": best.model_dump(mode="json"),
        "mean_ms": mean_ns / 1e6,
        "mean_ms_as_given": given[0] / 1e6,
        "settings_tried": len(settings),
    }


def _table(found: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="best options by simulation")
    for heading in ("policy", "load", "mean ms", "as given", "options"):
        table.add_column(heading, justify="right" if heading in {"mean ms", "as given"} else "left")
    for row in found:
        load = f"{row['request_rate_rps']:.4g} rps" if row["utilization"] is None else f"{row['utilization']:.0%}"
        table.add_row(
            escape(row["policy"]),
            load,
            f"{row['mean_ms']:.4g}",
            f"{row['mean_ms_as_given']:.4g}",
            _said(row["options"]),
        )
    return table


def _said(options: dict[str, Any]) -> str:
    """The options that a search may have changed, as a config spells them."""
    hidden = {
        *("scheduler_type", "name", "preferred_seq_len", "max_queue", "drop_late"),
        *("favor_per_stage", "foresight", "settings"),
    }
    return escape(
        ", ".join(f"{key}={value}" for key, value in options.items() if key not in hidden and value is not None)
    )
