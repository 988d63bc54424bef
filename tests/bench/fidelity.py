"""`python -m tests.bench.fidelity results/NAME [--slower X]`: simulated over measured, by the profile in a report.

Every run of the report is simulated once more, on the same schedule: mean and p99 by policy and load. Where a run on a GPU has
told its host's pace (`queueing_us`), the simulated host goes by it; where it has told its GPU's clock (`sm_mhz_by_tenth`),
the simulated device does. With `--slower`, its device takes X times as long throughout: what comes out otherwise tells how much
a run hangs on that, which near the limits of a policy is far more than X.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dvabatch.batching.costs import COSTS_US, Costs
from dvabatch.batching.profile import Profile
from dvabatch.reporting.summary import summarise
from dvabatch_cli.config import Config, config_of
from dvabatch_cli.config.policies import AnyPolicy, PolicySection
from dvabatch_cli.testbed import SimulatedBed
from dvabatch_cli.wiring import contender_of, load_points

_CONFIGS = Path(__file__).parents[2] / "configs"
_POLICY: TypeAdapter[AnyPolicy] = TypeAdapter(PolicySection)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One run: simulated over measured, and the measured mean in milliseconds."""

    policy: str
    utilization: float
    mean: float
    p99: float | None
    measured_ms: float
    saturated: bool
    valid: bool

    @property
    def line(self) -> str:
        p99 = "n/a" if self.p99 is None else f"{self.p99:.3f}"
        marks = " saturated" * self.saturated + " INVALID" * (not self.valid)
        told = f"{self.policy:24} {self.utilization:4.0%}  mean {self.mean:.3f}  p99 {p99}"
        return f"{told}  of {self.measured_ms:.3f} ms{marks}"


def profile_in(report: Mapping[str, Any]) -> Profile:
    """The profile that a report's runs stood on."""
    facts = report["profile"]
    lanes = list(dict.fromkeys(stage["lane"] for stage in facts["stages"]))

    def part(lane: int | None) -> dict[str, Any]:
        stages = [
            {key: stage[key] for key in ("latency_ms", "share")} for stage in facts["stages"] if stage["lane"] == lane
        ]
        own = {
            key: facts[key] if lane is None else facts[key][str(lane)]
            for key in ("whole", "crowding")
            if facts.get(key)
        }
        return {"stages": stages, **own}

    table: dict[str, Any] = {"name": report["name"], "one_host": bool(facts.get("one_host"))}
    table |= {cost: facts[cost] for cost in COSTS_US if facts.get(cost) is not None}
    table |= {key: facts[key] for key in ("slowdown", "cores", "sm_mhz", "clock_power") if facts.get(key)}
    table |= part(None) if lanes == [None] else {"lanes": {str(lane): part(lane) for lane in lanes}}
    return Profile.from_table(table)


def host_pace(run: Mapping[str, Any], costs: Costs) -> float:
    """How many times as long the host took in a run as while its profile was measured, by what queueing its launches took.

    Of a profile of before, which does not know what rows take, 1 at the least: it told of launches under a light load, which
    take longer.
    """
    told = run.get("queueing_us") or {}
    pace: float | None = told.get("pace")
    if "stage" in told:  # of before that: its pace is partly that of launches which bring nothing along
        pace = costs.pace_of(1e3 * (told["whole"] or 0))
    return max(0.0 if costs.launch_busy_ns_per_row is not None else 1.0, pace or 1.0)


def clock_pace(run: Mapping[str, Any], most_mhz: float) -> Callable[[int], float] | None:
    """How many times as slow as this clock that of the device was at an instant of a run; None where the run does not say.

    A tenth without a note has the clock of the one before.
    """
    told = (run.get("gpu") or {}).get("sm_mhz_by_tenth") or ()
    known = [mhz for mhz in told if mhz]
    if not known:
        return None
    factors, clock_mhz = [], known[0]
    for mhz in told:
        clock_mhz = mhz or clock_mhz
        factors.append(most_mhz / clock_mhz)
    part_ns = 1e9 * run["load"]["duration_s"] / len(factors)
    return lambda now_ns: factors[min(int(now_ns / part_ns), len(factors) - 1)]


def most_mhz_in(report: Mapping[str, Any]) -> float:
    """The fastest clock that any run of a report has seen, which a profile that does not say is taken to have had; 0 where
    none says."""
    clocks = [
        mhz
        for run in report["runs"]
        for name in ("sm_mhz", "sm_mhz_by_tenth")
        for mhz in (run.get("gpu") or {}).get(name) or ()
        if mhz
    ]
    return float(max(clocks, default=0))


def config_in(report: Mapping[str, Any]) -> Config:
    """A report's config, without its model: of that the simulator asks nothing, and its file may not be here."""
    return config_of({**report["config"], "model": {"network": "tiny_resnet"}, "inputs": {}}, folder=_CONFIGS)


def again(
    report: Mapping[str, Any], profile: Profile, slower: float = 1.0
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every run of a report, and its `response_ms` in virtual time on this profile, whose device takes `slower` as long."""
    config = config_in(report)
    points = load_points(config, report["profile"]["capacity_rps"])
    bed, most_mhz = SimulatedBed(config, profile), most_mhz_in(report)
    for run in report["runs"]:
        rate_rps = run["load"]["request_rate_rps"]
        point = min(points, key=lambda point, rate_rps=rate_rps: abs(point.rate_rps - rate_rps))  # type: ignore[misc]
        contender = contender_of(_POLICY.validate_json(json.dumps(run["policy"])), profile)
        schedule = point.schedule(config, run["load"]["seed"])
        clocked = clock_pace(run, most_mhz)
        result = bed.run(
            contender,
            point,
            schedule,
            device_pace=None if slower == 1.0 else lambda _: slower,
            host_pace=host_pace(run, profile.costs),
            clock_mhz=None if clocked is None else most_mhz,
            clock_pace=clocked,
            host_heard="heard" in (run.get("queueing_us") or {}),
        )
        yield run, summarise(result.measured)["response_ms"]


def utilization_of(run: Mapping[str, Any], report: Mapping[str, Any]) -> float:
    """The part of the capacity that a run asked for."""
    load = run["load"]
    return float(load["utilization"] or load["request_rate_rps"] / report["profile"]["capacity_rps"])


def ratios(report: Mapping[str, Any], slower: float = 1.0) -> Iterator[Ratio]:
    """Every run once more, in virtual time, over what was measured."""
    for run, simulated in again(report, profile_in(report), slower):
        measured = run["response_ms"]
        yield Ratio(
            run["policy"]["name"],
            utilization_of(run, report),
            simulated["mean"] / measured["mean"],
            simulated["p99"] / measured["p99"] if simulated["p99"] and measured["p99"] else None,
            measured["mean"],
            run["saturated"],
            run["valid"],
        )


def main(folder: Path, slower: float = 1.0) -> None:
    report = json.loads((folder / "report.json").read_text())
    found = sorted(ratios(report, slower), key=lambda each: (each.utilization, each.policy))
    for each in found:
        print(each.line)
    for utilization in sorted({each.utilization for each in found}):
        here = [each for each in found if each.utilization == utilization and each.valid and not each.saturated]
        if here:
            far = max(here, key=lambda each: abs(each.mean - 1))
            mean = sum(each.mean for each in here) / len(here)
            print(f"{utilization:4.0%}  {len(here)} runs, mean {mean:.3f}, farthest {far.mean:.3f} ({far.policy})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fidelity", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="of a report")
    parser.add_argument(
        "--slower", type=float, default=1.0, metavar="X", help="the device takes so many times as long [1]"
    )
    options = parser.parse_args()
    main(options.folder, options.slower)
