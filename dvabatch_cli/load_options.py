"""The options of a load that every load generator has: each sets a value of the config, and keeps its known meaning."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dvabatch_cli.config import Config, config_of, load_config
from dvabatch_cli.errors import CommandError
from dvabatch_cli.overrides import Override, sets

# Processes of one mean rate, whose gaps a gamma distribution may take the place of.
_OF_ONE_RATE = ("poisson", "constant", "gamma")
# How large a load is: what is made small, unless the command line names it.
_SIZES = frozenset(
    ("load", name)
    for name in (
        "utilization",
        "request_rate",
        "seeds",
        "num_requests",
        "duration_s",
        "max_duration_s",
        "warmup_requests",
    )
)
# What an objective may be about: an answer is one piece, so that the end-to-end latency is all there is.
_OBJECTIVES = ("response", "e2el")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What was asked for by name; None and empty where nothing was."""

    request_rate: Sequence[float] = ()
    burstiness: float | None = None
    num_requests: int | None = None
    duration: float | None = None
    max_concurrency: int | None = None
    seed: int | None = None
    num_runs: int | None = None
    goodput: Sequence[str] = ()

    def overrides(self) -> Iterator[Override]:
        """The values to set, but for the seeds of several runs: those follow the first seed of the config.

        Raises:
            CommandError: an objective cannot be read, or there are several.
        """
        if self.request_rate:
            typed = " ".join(f"--request-rate {rate:.12g}" for rate in self.request_rate)
            yield Override(typed, f"load.request_rate={json.dumps(list(self.request_rate))}")
        if self.burstiness is not None:
            option = f"--burstiness {self.burstiness:.12g}"
            value = "inf" if math.isinf(self.burstiness) and self.burstiness > 0 else json.dumps(self.burstiness)
            yield Override(option, "load.process=gamma", over=_OF_ONE_RATE)
            yield Override(option, f"load.burstiness={value}")
        if self.num_requests is not None:
            yield Override(f"--num-requests {self.num_requests}", f"load.num_requests={self.num_requests}")
        if self.duration is not None:
            yield Override(f"--duration {self.duration:.12g}", f"load.duration_s={json.dumps(self.duration)}")
        if self.max_concurrency is not None:
            yield Override(f"--max-concurrency {self.max_concurrency}", f"load.max_concurrency={self.max_concurrency}")
        if self.seed is not None:
            yield Override(f"--seed {self.seed}", f"load.seeds=[{self.seed}]")
        if self.goodput:
            yield Override(f"--goodput {self.goodput[0]}", f"slo.response_ms={_objective_ms(self.goodput)}")


def load_with_options(
    name: str,
    settings: Sequence[str],
    options: LoadOptions,
    *,
    quick: bool = False,
    small: Callable[[Config], Config] = Config.quick,
) -> Config:
    """The config called `name` with `--set`'s and the options' values; with `quick` as `small` makes it, but for the sizes of
    its load that either names.

    Raises:
        ConfigError: with every problem found.
        CommandError: an option cannot be read.
    """
    overrides = list(options.overrides())
    config = load_config(name, [*settings, *overrides])
    if quick:
        sizes = [setting for setting in settings if sets(setting) in _SIZES]
        if any(sets(each) == ("load", "num_requests") for each in [*sizes, *(each.assignment for each in overrides)]):
            # As many as were asked for do not end with the seconds that `small` would give them.
            sizes.insert(0, f"load.max_duration_s={json.dumps(config.load.max_duration_s)}")
        config = _with(small(config), [*sizes, *overrides], name)
    if options.num_runs is not None:
        first = config.load.seeds[0]
        seeds = json.dumps(list(range(first, first + options.num_runs)))
        config = _with(config, [Override(f"--num-runs {options.num_runs}", f"load.seeds={seeds}")], name)
    return config


def _with(config: Config, overrides: Iterable[str | Override], name: str) -> Config:
    return config_of(config.resolved(), folder=config.folder, overrides=overrides, source=name)


def _objective_ms(goodput: Sequence[str]) -> str:
    """The number of one KEY:MS, as it was written."""
    if len(goodput) > 1:
        raise CommandError(
            f"--goodput: got {len(goodput)} objectives, wanted one: answers are one piece, and have one time"
        )
    found = re.fullmatch(r"([a-z0-9_]+):(\d+(?:\.\d+)?)", goodput[0])
    if found is None or found[1] not in _OBJECTIVES:
        hint = "; time to first token and between tokens are of models that answer piece by piece" if found else ""
        raise CommandError(
            f"--goodput: got {goodput[0]!a}, wanted {' or '.join(_OBJECTIVES)} and milliseconds, as response:50{hint}"
        )
    return found[2]
