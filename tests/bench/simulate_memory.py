"""What `dvabatch simulate` keeps in memory as the run grows, and whether it repeats byte for byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figure import Benchmark, Figure, Scale
from tests.bench.process import MIB, Ended, dvabatch

TARGET_MIB = 64.0
_POLICY = '[{"scheduler_type": "NORMAL", "max_queue_delay_microseconds": 0}]'


def run(scale: Scale) -> Iterator[Figure]:
    small, large = scale.pick(100_000, 10_000), scale.pick(1_000_000, 100_000)
    with tempfile.TemporaryDirectory(prefix="dvabatch-bench-") as folder:
        by_size = {}
        for queries in (small, large):
            scale.say(f"simulating {queries:,} queries in a process of its own")
            by_size[queries] = _simulate(queries, Path(folder) / str(queries))
        growth = (by_size[large].peak_bytes - by_size[small].peak_bytes) / MIB
        yield Figure(
            f"simulate, resident at {large:,} over {small:,}",
            growth,
            "MiB",
            TARGET_MIB,
            detail=f"{by_size[large].peak_bytes / MIB:.0f} against {by_size[small].peak_bytes / MIB:.0f} MiB, "
            f"{by_size[large].took_s:.0f} s",
        )
        scale.say("the same simulation twice")
        reports = []
        for name in ("one", "other"):
            _simulate(small // 5, Path(folder) / name)
            reports.append((Path(folder) / name / "report.json").read_bytes())
        same = reports[0] == reports[1]
        yield Figure(
            "simulate, same seed and same report.json",
            float(same),
            "(1: same)",
            1.0,
            ">=",
            f"{len(reports[0]):,} bytes",
        )


def _simulate(queries: int, folder: Path) -> Ended:
    words = (
        "load.utilization=0.6",
        "load.seeds=[1]",
        "baselines=[]",
        f"load.num_requests={queries}",
        f"policies={_POLICY}",
    )
    return dvabatch(
        ["simulate", "resnet_152_table.json", "-o", str(folder), *(w for word in words for w in ("--set", word))]
    )


BENCHMARK = Benchmark("simulate", "resident memory of dvabatch simulate, and that it repeats", run)
