"""What `dvabatch bench` keeps resident at 224x224, the making of model, stages, engines and profile included."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.figure import Benchmark, Figure, Scale
from tests.bench.process import MIB, dvabatch

TARGET_MIB = 3 * 1024.0


def run(scale: Scale) -> Iterator[Figure]:
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="dvabatch-bench-"))
        arguments = ["bench", "resnet_152_04.json", "--quick", "--set", "engine.max_batch=8", "-o", f"{folder}/results"]
        if scale.fast:  # small, and on whatever the cache has
            arguments += ["--set", "model.input=[3, 64, 64]", "--set", "baselines=[]"]
            environment = {}
        else:
            environment = {"DVABATCH_CACHE": f"{folder}/cache"}
        scale.say(f"dvabatch {' '.join(arguments)}")
        ended = dvabatch(arguments, environment=environment)
    largest = max(ended.peak_bytes, ended.tree_bytes) / MIB
    yield Figure(
        f"bench, peak resident{', 64x64' if scale.fast else ', 224x224'}",
        largest,
        "MiB",
        TARGET_MIB,
        detail=f"with children (sampled), the largest process alone {ended.peak_bytes / MIB:.0f} MiB; {ended.took_s:.0f} s, "
        f"exit code {ended.code}",
    )


BENCHMARK = Benchmark(
    "memory", "peak resident memory of dvabatch bench resnet_152_04.json --quick, batches up to 8", run
)
