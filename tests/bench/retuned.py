"""`python -m tests.bench.retuned results/NAME`: what today's AUTO would make of a run, by the profile in its report.

Every run of the report is simulated once more, on the same schedule, and AUTO a second time, with settings that are tuned anew:
against the best plain setting of the report at each load. On a GPU, both of that are simulated at the pace that the host had in
each run; and then the runs once more at that of the profile, as if all had had the same host.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvabatch_cli.config.policies import AutoOptions
from dvabatch_cli.halving import pool
from dvabatch_cli.tuning import FULL, Effort, tune_auto
from dvabatch_cli.wiring import limits_of
from tests.bench.fidelity import again, config_in, profile_in, utilization_of


@dataclass(frozen=True, slots=True)
class Retuned:
    """At one load, AUTO's mean response over that of the best plain setting."""

    utilization: float
    measured: float
    simulated: float
    anew: float
    one_host: float

    @property
    def line(self) -> str:
        told = f"measured {self.measured:.3f}, simulated {self.simulated:.3f}, tuned anew {self.anew:.3f}"
        return f"{self.utilization:4.0%}  AUTO over the best plain setting: {told}, all on one host {self.one_host:.3f}"


def retuned(
    report: Mapping[str, Any], effort: Effort = FULL, say: Callable[[str], None] = lambda _: None
) -> Iterator[Retuned]:
    """One for each load of a report that has AUTO, swept settings, and one seed."""
    profile, config = profile_in(report), config_in(report)
    runs = [run for run in report["runs"] if run["role"] == "swept" or run["policy"]["scheduler_type"] == "AUTO"]
    (options,) = {policy for policy in config.policies if isinstance(policy, AutoOptions)}
    limits = limits_of(config, profile.stages)
    with pool() as across:
        settings = tune_auto(profile, limits, options.max_batch_size, options.foresight, across, say, effort)
    plain = [setting.model_dump(mode="json") for setting in settings]
    anew = [
        {**run, "policy": {**run["policy"], "settings": plain}}
        for run in runs
        if run["policy"]["scheduler_type"] == "AUTO"
    ]
    unhurried = [{**run, "queueing_us": None} for run in runs]
    measured, simulated, new, one_host = (
        _means(report, [(run, run["response_ms"]) for run in runs]),
        _means(report, again({**report, "runs": runs}, profile)),
        _means(report, again({**report, "runs": anew}, profile)),
        _means(report, again({**report, "runs": unhurried}, profile)),
    )
    for utilization in sorted(simulated):
        found, before, after = measured[utilization], simulated[utilization], new[utilization]
        yield Retuned(
            utilization,
            found["policy"] / found["swept"],
            before["policy"] / before["swept"],
            after["policy"] / before["swept"],
            one_host[utilization]["policy"] / one_host[utilization]["swept"],
        )


def _means(report: Mapping[str, Any], runs: Any) -> dict[float, dict[str, float]]:
    """Mean responses in ms, by load: AUTO's, and that of the best plain setting."""
    means: dict[float, dict[str, float]] = {}
    for run, response_ms in runs:
        of_load = means.setdefault(utilization_of(run, report), {})
        of_load[run["role"]] = min(response_ms["mean"], of_load.get(run["role"], response_ms["mean"]))
    return means


def main(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    for each in retuned(report, say=lambda line: print(line, file=sys.stderr)):
        print(each.line)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
