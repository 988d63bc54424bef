"""What `bench` shows of a point while it runs: a display on a terminal, a line now and then elsewhere.

A thread looks at the run four times a second. It shares the interpreter with the driver, which waits while a look is drawn:
drawing is therefore kept to plain segments (a table takes longer than a sender may be late), and the thread goes
first where the system lets it, since one that is preempted with the interpreter in its hands stops everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.segment import Segment, Segments
from rich.style import Style

from dvabatch.batching.machine import Machine
from dvabatch.loadgen import Schedule
from dvabatch.reporting.percentiles import supported
from dvabatch.runtime.driver import Driver
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.progress import Progress, Reading
from engines.priority import going_first

_PERIOD_S = 0.25
_PLAIN_PERIOD_S = 10.0
_BAR_CELLS = 32
_DIM, _BOLD, _BAR = Style(dim=True), Style(bold=True), Style(color="cyan")

Say = Callable[[str], None]


class Screen(Protocol):
    """Where readings are shown, by one thread."""

    period_s: float

    def show(self, title: str, progress: Progress, reading: Reading) -> None: ...

    def close(self) -> None: ...


class TerminalScreen:
    """A display that is drawn anew in place, and gone when it is closed."""

    period_s = _PERIOD_S

    def __init__(self, console: Console) -> None:
        self._console = console
        self._full = "█" if console.encoding.startswith("utf") else "#"
        self._live: Live | None = None

    def show(self, title: str, progress: Progress, reading: Reading) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
            self._console.show_cursor(True)  # a second Ctrl-C ends the process at once, and nobody would bring it back
        self._live.update(Segments(self._segments(title, progress, reading)), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _segments(self, title: str, progress: Progress, reading: Reading) -> list[Segment]:
        end = Segment.line()
        segments = [Segment(title, _BOLD), Segment(f"  {_how_far(progress, reading)}"), end]
        segments += [Segment("  ".join(_figures(reading))), end]
        for stage, batch in enumerate(reading.mean_batch):
            cells = 0 if batch is None else max(1, round(batch / progress.max_batch * _BAR_CELLS))
            segments += [
                Segment(f"stage {stage:<2} batch "),
                Segment(self._full * cells, _BAR),
                Segment(" " * (_BAR_CELLS - cells) + ("    -" if batch is None else f" {batch:4.1f}")),
                end,
            ]
        told = "  ".join(f"{name} {rate:,.0f}/s" for name, rate in reading.operations_per_s.items())
        return [*segments, Segment(told, _DIM), end]


class PlainScreen:
    """A line now and then, for pipes and logs."""

    period_s = _PLAIN_PERIOD_S

    def __init__(self, say: Say) -> None:
        self._say = say

    def show(self, title: str, progress: Progress, reading: Reading) -> None:
        self._say(f"{title}: {_how_far(progress, reading)}, {', '.join(_figures(reading))}")

    def close(self) -> None:
        """What was said stays."""


@dataclass(frozen=True, slots=True)
class Display:
    """Where the points of an experiment are shown: drawn on `console` if it is a terminal, else said."""

    say: Say
    console: Console | None = None

    def screen(self) -> Screen:
        console = self.console
        return PlainScreen(self.say) if console is None or not console.is_interactive else TerminalScreen(console)


@contextmanager
def shown(
    display: Display | None, policy: str, schedule: Schedule, journal: Journal, machine: Machine, driver: Driver[Any]
) -> Iterator[None]:
    """Shows the run of a driver, which the block is, under its policy's name; without a display just the block."""
    if display is None:
        yield
        return
    title = f"{policy}, {schedule.process} at {schedule.rate_rps:,.4g}/s, seed {schedule.seed}"
    provisional_ns = driver.anchor_ns  # a driver has one from birth; the run's own is laid when everything is ready

    def now_ns() -> int:
        anchor_ns = driver.anchor_ns
        return -1 if anchor_ns == provisional_ns else perf_counter_ns() - anchor_ns

    progress = Progress(schedule.arrivals_ns, journal, machine, now_ns)
    with watched(display.screen(), title, progress, display.say):
        yield


@contextmanager
def watched(screen: Screen, title: str, progress: Progress, say: Say) -> Iterator[None]:
    """A thread reads `progress` and shows it on `screen` as often as that wants, while the block runs.

    A screen that breaks is said afterwards, and the block does not suffer.
    """
    over = threading.Event()
    broken: list[Exception] = []

    def work() -> None:
        try:
            with going_first():
                try:
                    while not over.wait(screen.period_s):
                        screen.show(title, progress, progress.read())
                finally:
                    screen.close()
        except Exception as error:  # noqa: BLE001 -- what is shown may break, what is measured must not: said below
            broken.append(error)

    thread = threading.Thread(target=work, name="live", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for error in broken:
            say(f"the live display of {title} broke off, the run went on: {type(error).__name__}: {error}")


def _how_far(progress: Progress, reading: Reading) -> str:
    return f"{reading.now_ns / 1e9:.0f} of {progress.lasts_ns / 1e9:.0f} s, {reading.ended:,} of {progress.offered:,} queries"


def _figures(reading: Reading) -> list[str]:
    return [
        f"asked {reading.asked_rps:,.0f}/s",
        f"achieved {reading.achieved_rps:,.0f}/s",
        f"in flight {reading.in_flight:,} ({reading.waiting:,} waiting)",
        f"p50 {_response(reading, 'p50', reading.p50_ns)}",
        f"p99 {_response(reading, 'p99', reading.p99_ns)}",
    ]


def _response(reading: Reading, name: str, value_ns: float | None) -> str:
    """As in the report, a percentile that the answers so far do not support is not shown."""
    if value_ns is None or not supported(name, reading.completed):
        return "-"
    return f"{value_ns / 1e6:,.2f} ms"
