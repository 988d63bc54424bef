"""What `compare` says of a run and its like, and of one on a host that is 3 % slower, over a hundred seeds of a noisy host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from dvabatch.reporting.contrast import Asked, contrast
from dvabatch.reporting.measured import IntArray
from dvabatch.reporting.pairing import Match, Pair
from dvabatch.reporting.verdict import Verdict
from tests.bench.figure import Benchmark, Figure, Scale
from tests.bench.noisy import Noise, noisy_responses
from tests.bench.tabled import Tabled, resnet_policies

_SEEDS = 100
_LOAD = 0.3  # of the capacity
_SLOWER = 1.03
# As on a CPU, at 26 ms for one: a run then lasts long enough for the host to change its mind.
_TIMES_H100 = 20.0
_ONE = (1, 20_000, Noise())
_SEVERAL = (20, 2_000, Noise(of_runs=0.003))
_NOISE, _OTHER_NOISE, _SLOW_NOISE = 1_000_003, 2_000_003, 3_000_017


def run(scale: Scale) -> Iterator[Figure]:
    tabled = _slow_device()
    seeds = scale.pick(_SEEDS, 10)
    for runs, queries, noise in (_ONE, _SEVERAL):
        itself, slower = Counter[Verdict](), Counter[Verdict]()
        for seed in range(seeds):
            scale.say(f"seed {seed} of {seeds}, {runs} x {queries:,} queries")
            old, same, slow = [], [], []
            for each in range(runs):
                schedule = tabled.schedule(_LOAD * tabled.capacity_rps, queries, seed * 1_000 + each)
                own = seed * 1_000 + each
                old.append(noisy_responses(tabled, schedule, noise, _NOISE + own))
                same.append(noisy_responses(tabled, schedule, noise, _OTHER_NOISE + own))
                slow.append(noisy_responses(tabled, schedule, noise, _SLOW_NOISE + own, _SLOWER))
            itself[verdict_of(old, same, seed)] += 1
            slower[verdict_of(old, slow, seed)] += 1
        told = f"{runs} run{'s' if runs > 1 else ''} of {queries:,} queries a side"
        yield _figure(f"a run and its like: no difference, {told}", itself, Verdict.NO_DIFFERENCE, 0.95 * seeds)
        yield _figure(f"a host 3 % slower: slower, {told}", slower, Verdict.SLOWER, 0.90 * seeds)


def verdict_of(old: list[IntArray], new: list[IntArray], seed: int) -> Verdict:
    """What is said of runs of these responses, on one schedule each."""
    pairs = tuple(
        Pair(_run(theirs, "new", at), _run(mine, "old", at))
        for at, (mine, theirs) in enumerate(zip(old, new, strict=True))
    )
    match = Match("NORMAL", "NORMAL", pairs[0].new["load"], pairs)
    row = contrast(match, lambda run: old[run["at"]], lambda run: new[run["at"]], Asked(seed=seed))
    return row.verdict


def _run(responses: IntArray, side: str, at: int) -> dict[str, object]:
    return {
        "at": at,
        "side": side,
        "load": {"process": "poisson", "request_rate_rps": 1.0, "utilization": _LOAD, "seed": at},
        "counts": {"offered": len(responses), "completed": len(responses)},
        "valid": True,
        "saturated": False,
        "invalid_reasons": [],
    }


def _figure(name: str, counts: Counter[Verdict], wanted: Verdict, limit: float) -> Figure:
    detail = ", ".join(f"{verdict.value} {count}" for verdict, count in counts.most_common())
    return Figure(name, counts[wanted], "of seeds", limit, ">=", detail)


def _slow_device() -> Tabled:
    """NORMAL of configs/resnet_152_table.json on a device that takes `_TIMES_H100` times as long."""
    fast = resnet_policies()[0]
    return replace(fast, profile=fast.profile.at_speed(_TIMES_H100), capacity_rps=fast.capacity_rps / _TIMES_H100)


BENCHMARK = Benchmark(
    "compare", "what compare says of two runs that differ by noise, and of one that is 3 % slower", run
)
