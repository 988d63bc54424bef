"""`python -m tests.bench`: performance figures beside their targets. They are figures, not tests: a target that is not
met changes no exit code, only a benchmark that breaks does."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

from dvabatch_cli.environment import environment
from tests.bench import (
    auto,
    bench_memory,
    compare,
    decision,
    idle_runtime,
    live,
    on_device,
    simulate_memory,
    simulator,
    slicing_tax,
    soak,
)
from tests.bench.figure import Benchmark, Figure, Scale

# The quick ones first, so that a reader has something to read.
MODULES = (
    decision,
    simulator,
    simulate_memory,
    soak,
    idle_runtime,
    live,
    on_device,
    slicing_tax,
    bench_memory,
    compare,
    auto,
)
BENCHMARKS: dict[str, Benchmark] = {module.BENCHMARK.name: module.BENCHMARK for module in MODULES}


def main() -> int:
    options = _parser().parse_args()
    scale = Scale(options.fast, options.full, lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    figures: list[tuple[str, Figure]] = []
    broken: list[str] = []
    for name in options.only or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        print(f"\n{name}: {benchmark.about}", flush=True)
        began_s = time.perf_counter()
        try:
            for figure in benchmark.run(scale):
                figures.append((name, figure))
                print(figure.line, flush=True)
        except Exception:  # noqa: BLE001 -- one that breaks is shown, and the others still run
            traceback.print_exc()
            broken.append(name)
        print(f"  {time.perf_counter() - began_s:.0f} s", file=sys.stderr)
    missed = [figure.name for _, figure in figures if figure.met is False]
    print(f"\n{len(figures)} figures, {len(missed)} targets not met{'' if not missed else ': ' + '; '.join(missed)}")
    if options.json is not None:
        document = {
            "scale": "fast" if scale.fast else "full" if scale.full else "usual",
            "environment": environment(),
            "figures": [{"benchmark": name, **figure.to_json()} for name, figure in figures],
            "broken": broken,
        }
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Performance figures beside their targets."
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=list(BENCHMARKS),
        help=f"one of {', '.join(BENCHMARKS)}; repeatable",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--fast", action="store_true", help="small: shows that benchmarks run; the figures are rough")
    size.add_argument("--full", action="store_true", help="slicing at batch 16 too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
