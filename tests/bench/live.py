"""What the live display costs: the same runs with and without it, in turns, and the processor time of its thread."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from dvabatch.reporting.summary import summarise
from dvabatch_cli.config import config_of
from dvabatch_cli.ground import lay_ground
from dvabatch_cli.live import Display, TerminalScreen
from dvabatch_cli.open_bed import open_real_bed
from dvabatch_cli.wiring import contender_of, load_points
from tests.bench.figure import Benchmark, Figure, Scale

TARGET = 0.01
_STAGES, _MAX_BATCH = 4, 32
_AT_ONCE_RPS, _PUNCTUAL_RPS = 1_000_000, 1_000


class _TimedScreen(TerminalScreen):
    """Notes how busy its thread was, which is a new one for each run."""

    def __init__(self, console: Console, busy: list[float]) -> None:
        super().__init__(console)
        self._busy = busy
        self._began_s = time.perf_counter()

    def close(self) -> None:
        self._busy.append(time.thread_time() / (time.perf_counter() - self._began_s))
        super().close()


@dataclass(frozen=True, slots=True)
class _TimedDisplay(Display):
    busy: list[float] = field(default_factory=list)

    def screen(self) -> _TimedScreen:
        assert self.console is not None
        return _TimedScreen(self.console, self.busy)


def run(scale: Scale) -> Iterator[Figure]:
    with Path(os.devnull).open("w") as nowhere:
        console = Console(file=nowhere, force_terminal=True, width=110)
        yield from _throughput(scale, _TimedDisplay(scale.say, console))
        yield _lateness(scale, _TimedDisplay(scale.say, console))


def _throughput(scale: Scale, display: _TimedDisplay) -> Iterator[Figure]:
    """All queries at once: the driver then never waits, and what the display takes is missing from its throughput.

    Other work on the host changes throughput by far more than the display does: the interval says how far to believe it. The
    processor time of the same runs hardly knows of other work, and is what bounds throughput here. That of the
    display's thread, the longest that the driver can have to wait for it, is a figure of its own.
    """
    pairs = scale.pick(40, 3)
    without, shown = _in_turns(_AT_ONCE_RPS, scale.pick(30_000, 4_000), pairs, display, scale)
    rps = [[each["request_throughput_rps"] for each in runs] for runs in (without, shown)]
    yield _of_pairs(
        "live display, throughput lost",
        [1 - after / before for before, after in zip(*rps, strict=True)],
        f"{median(rps[1]):,.0f} against {median(rps[0]):,.0f} queries/s",
    )
    cpu_s = [[each["processor_s"] for each in runs] for runs in (without, shown)]
    yield _of_pairs(
        "live display, processor time added",
        [after / before - 1 for before, after in zip(*cpu_s, strict=True)],
        f"{median(cpu_s[1]):.3f} s against {median(cpu_s[0]):.3f} s a run",
    )
    yield Figure(
        "live display, its thread", median(display.busy), "of a core", TARGET, detail="processor time over time"
    )


def _of_pairs(name: str, found: list[float], detail: str) -> Figure:
    """The median, with its interval by order statistics: at 95 % by the binomial's normal approximation."""
    ordered, pairs = sorted(found), len(found)
    skipped = max(0, round(pairs / 2 - 0.98 * pairs**0.5) - 1)
    detail += f" in {pairs} pairs of runs; 95 % from {ordered[skipped]:+.1%} to {ordered[-1 - skipped]:+.1%}"
    return Figure(name, median(ordered), "of it", TARGET, detail=detail)


def _lateness(scale: Scale, display: _TimedDisplay) -> Figure:
    """Queries far apart: each wakes the driver, and one that is due while the display draws has to wait for it."""
    pairs = scale.pick(5, 2)
    without, shown = _in_turns(_PUNCTUAL_RPS, scale.pick(2_000, 500), pairs, display, scale)
    p99 = [median(each["lateness_ms"]["p99"] for each in runs) for runs in (without, shown)]
    detail = f"against {p99[0]:.3f} ms without; {pairs} pairs at {_PUNCTUAL_RPS:,} queries/s"
    return Figure("live display, lateness p99", p99[1], "ms", detail=detail)


def _in_turns(
    rate_rps: int, queries: int, pairs: int, display: Display, scale: Scale
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Runs without and with the display, summed up; which goes first changes from pair to pair."""
    found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    with _bench(rate_rps, queries) as serve:
        serve(display)  # warms up
        for pair in range(pairs):
            scale.say(f"{queries:,} queries at {rate_rps:,}/s without and with it, pair {pair + 1} of {pairs}")
            for shown in (0, 1) if pair % 2 else (1, 0):
                found[shown].append(serve(display if shown else None))
    return found


@contextmanager
def _bench(rate_rps: int, queries: int) -> Iterator[Callable[[Display | None], dict[str, Any]]]:
    """One launch at a time through stages that take next to no time: the driver's own work is what there is to slow down, and
    each run does the same work. (Where policies regroup batches, runs differ among themselves by far more than that.)"""
    stage = {"latency_ms": {"1": 1e-6, str(_MAX_BATCH): 1e-6}}
    raw = {
        "name": "live",
        "slicing": {"stages": _STAGES},
        "engine": {"backend": "table", "table": "null.json", "max_batch": _MAX_BATCH},
        "policies": [{"scheduler_type": "NORMAL"}],
        "baselines": [],
        "load": {"process": "constant", "request_rate": rate_rps, "num_requests": queries},
        "checks": {"sample": 0},
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "null.json").write_text(json.dumps({"name": "null", "stages": [stage] * _STAGES}))
        config = config_of(raw, folder=Path(folder))
        ground = lay_ground(config, lambda _: None)
        [point] = load_points(config, ground.capacity_rps)
        schedule = point.schedule(config, seed=1)
        contender = contender_of(config.policies[0], ground.profile)
        with open_real_bed(config, ground.profile, None, lambda _: None) as bed:

            def serve(display: Display | None) -> dict[str, Any]:
                bed.display = display
                began_s = time.process_time()
                measured = bed.run(contender, point, schedule).measured
                return {**summarise(measured), "processor_s": time.process_time() - began_s}

            yield serve


BENCHMARK = Benchmark("live", "the live display of bench: what it takes from the driver", run)
