"""What slicing costs: the chained stages' time over the whole model's, medians of interleaved runs on this CPU."""

from __future__ import annotations

from collections.abc import Iterator

from dvabatch.runtime.profiling import Effort
from tests.bench.figure import Benchmark, Figure, Scale
from tests.bench.resnet import STAGES, config_at, prepared_at, profiled

TARGET = 1.10


def run(scale: Scale) -> Iterator[Figure]:
    max_batch = 16 if scale.full else 8
    for side in (64,) if scale.fast else (64, 224):
        config = config_at(side, max_batch)
        effort = Effort(budget_s=0.5, least=3, most=9) if scale.fast else Effort(budget_s=6.0, least=9, most=41)
        measured = profiled(config, prepared_at(config, scale), scale, effort)
        for size, tax in sorted(measured.slicing_tax.items(), key=lambda item: int(item[0])):
            whole_ms = measured.profile.whole_ns(int(size), 0) / 1e6
            yield Figure(
                f"slicing tax, {side}x{side}, batch {size}", tax, "of whole", TARGET, detail=f"whole {whole_ms:.1f} ms"
            )


BENCHMARK = Benchmark("slicing", f"ResNet-152 in {STAGES} stages against the whole model, interleaved medians", run)
