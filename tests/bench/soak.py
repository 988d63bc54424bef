"""An hour of simulated time at twice the capacity, with a bounded queue and faults: memory, and what became of all."""

from __future__ import annotations

from collections.abc import Iterator

from dvabatch.runtime.journal import Outcome
from tests.bench.figure import Benchmark, Figure, Scale
from tests.bench.process import MIB
from tests.soak.overload import MAX_QUEUE, OVERLOAD, POLICIES, soak

TARGET_MIB = 2.0  # over some 700,000 queries: three bytes each
TARGET_BLOCKS = 1000.0  # the samples themselves are some 400


def run(scale: Scale) -> Iterator[Figure]:
    lasts_s = scale.pick(3600, 120)
    for name, policy in POLICIES.items():
        scale.say(f"simulating {lasts_s} s of {name} at {OVERLOAD:g} times the capacity")
        soaked = soak(policy, lasts_s)
        ends = {how: soaked.count(how) for how in Outcome}
        offered = soaked.journal.count
        told = ", ".join(f"{count:,} {how.name.lower()}" for how, count in ends.items() if count)
        first, last = soaked.samples[len(soaked.samples) // 10], soaked.samples[-1]
        yield Figure(
            f"soak, {name}, resident memory grown",
            soaked.grown_bytes / MIB,
            "MiB",
            TARGET_MIB,
            detail=f"{first.resident_bytes / MIB:.1f} MiB behind the first tenth, {last.resident_bytes / MIB:.1f} at the end",
        )
        yield Figure(
            f"soak, {name}, blocks grown",
            float(soaked.grown_blocks),
            "blocks",
            TARGET_BLOCKS,
            detail=f"of {last.blocks:,}",
        )
        unaccounted = abs(offered - sum(ends.values())) + ends[Outcome.OPEN]
        yield Figure(
            f"soak, {name}, queries unaccounted for",
            float(unaccounted),
            "queries",
            0.0,
            detail=f"{offered:,} offered: {told}",
        )
        yield Figure(f"soak, {name}, longest queue", float(soaked.longest_queue), "queries", float(MAX_QUEUE))


BENCHMARK = Benchmark("soak", "an hour of simulated time at twice the capacity, with a bounded queue and faults", run)
