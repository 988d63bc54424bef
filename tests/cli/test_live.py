"""The live display: what it draws, what it says where there is no terminal, and that it never harms a run."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.progress import Progress, Reading
from dvabatch_cli.live import Display, PlainScreen, Screen, TerminalScreen, watched
from tests.cli.command import LOAD, NORMAL, dvabatch, ended_well, report_of, table_config

WAIT_S = 30
READING = Reading(
    now_ns=2_000_000_000, due=400, ended=390, completed=388, in_flight=1_234, waiting=6, asked_rps=200.4,
    achieved_rps=195.0, p50_ns=3_120_000.0, p99_ns=1_234_000_000.0, mean_batch=(8.0, 0.1, None),
    operations_per_s={"new": 50.0, "stretch": 0.0},
)  # fmt: skip


def progress() -> Progress:
    """A run of three stages and at most 8 rows that lasts four seconds, and in which nothing happens."""
    profile = Profile.from_table({"stages": [{"latency_ms": {"1": 1.0, "8": 2.0}}] * 3})
    machine = Machine(Limits(3, 8), profile, Normal(FillOrWait(8, max_delay_ns=0, instances=1)))
    return Progress(np.linspace(0, 4e9, 800).astype(np.int64), Journal(800), machine, lambda: 0)


def console(encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    """A terminal of which every byte is kept."""
    seen = io.BytesIO()
    text = io.TextIOWrapper(seen, encoding, write_through=True)
    return Console(file=text, force_terminal=True, force_interactive=True, width=100, height=40), seen


def test_a_terminal_shows_rates_percentiles_bars_and_operations() -> None:
    shown, seen = console()
    screen = TerminalScreen(shown)
    screen.show("LOAD_DVA", progress(), READING)
    lines = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", seen.getvalue().decode()).splitlines()
    assert [line.rstrip() for line in lines] == [
        "LOAD_DVA  2 of 4 s, 390 of 800 queries",
        "asked 200/s  achieved 195/s  in flight 1,234 (6 waiting)  p50 3.12 ms  p99 1,234.00 ms",
        f"stage 0  batch {'█' * 32}  8.0",
        f"stage 1  batch █{' ' * 31}  0.1",
        f"stage 2  batch {' ' * 32}    -",
        "new 50/s  stretch 0/s",
    ]
    screen.close()


def test_a_terminal_is_left_as_it_was() -> None:
    shown, seen = console()
    screen = TerminalScreen(shown)
    screen.show("A", progress(), READING)
    first = seen.getvalue().decode()
    assert first.count("\x1b[?25l") == first.count("\x1b[?25h")  # the cursor is never hidden, whatever ends the process
    screen.close()
    assert seen.getvalue().decode()[len(first) :].count("\x1b[2K") >= 6  # every line of it is wiped


def test_a_terminal_without_blocks_gets_plain_bars() -> None:
    shown, seen = console("latin-1")
    screen = TerminalScreen(shown)
    screen.show("A", progress(), READING)
    screen.close()
    assert "#" * 32 in seen.getvalue().decode("latin-1")


def test_a_percentile_that_the_answers_do_not_support_is_not_shown() -> None:
    said: list[str] = []
    PlainScreen(said.append).show("A", progress(), replace(READING, completed=367))
    assert said == [
        "A: 2 of 4 s, 390 of 800 queries, asked 200/s, achieved 195/s, in flight 1,234 (6 waiting), p50 3.12 ms, p99 -"
    ]


def test_only_a_terminal_is_drawn_on() -> None:
    assert isinstance(Display(print, console()[0]).screen(), TerminalScreen)
    assert isinstance(Display(print, Console(file=io.StringIO())).screen(), PlainScreen)
    assert isinstance(Display(print).screen(), PlainScreen)


@dataclass
class Looking:
    """A screen that looks without pause; `do` is done at each look."""

    do: Callable[[Progress, Reading], None]
    period_s: float = 0.0
    looks: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def show(self, title: str, progress: Progress, reading: Reading) -> None:
        self.looks.set()
        self.do(progress, reading)

    def close(self) -> None:
        self.closed = True


def test_a_thread_looks_while_the_block_runs_and_is_gone_afterwards() -> None:
    screen = Looking(lambda progress, reading: None)
    with watched(screen, "A", progress(), pytest.fail):
        assert screen.looks.wait(WAIT_S)
        assert any(thread.name == "live" for thread in threading.enumerate())
    assert screen.closed
    assert not any(thread.name == "live" for thread in threading.enumerate())


def test_a_display_that_breaks_is_said_and_nothing_else_happens() -> None:
    def broken(progress: Progress, reading: Reading) -> None:
        raise OSError("terminal gone")

    said: list[str] = []
    screen = Looking(broken)
    with watched(screen, "NORMAL", progress(), said.append):
        assert screen.looks.wait(WAIT_S)
    assert said == ["the live display of NORMAL broke off, the run went on: OSError: terminal gone"]
    assert screen.closed


def test_the_display_ends_with_a_run_that_is_interrupted() -> None:
    screen = Looking(lambda progress, reading: None)
    with pytest.raises(KeyboardInterrupt), watched(screen, "A", progress(), pytest.fail):
        raise KeyboardInterrupt
    assert screen.closed


@pytest.mark.parametrize("admission", ["pull", "push"])
def test_a_run_that_is_looked_at_without_pause_is_the_one_that_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, admission: str
) -> None:
    """Looks race with the driver all the time; what they add up to is what the journal says in the end."""
    seen: list[tuple[Progress, list[Reading]]] = []

    def screen(display: Display) -> Screen:
        readings: list[Reading] = []

        def keep(progress: Progress, reading: Reading) -> None:
            if not readings:
                seen.append((progress, readings))
            readings.append(reading)

        return Looking(keep, period_s=1e-4)

    monkeypatch.setattr(Display, "screen", screen)
    load = {"process": "poisson", "request_rate": 1000, "num_requests": 300, "attempts": 1, "admission": admission}
    done = dvabatch("bench", table_config(tmp_path, policies=[NORMAL, LOAD], load=load), "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert ended_well(done, report), done.err
    assert "broke off" not in done.err
    for run, (progress_, readings) in zip(report["runs"], seen[-2:], strict=True):
        assert all(a.ended <= b.ended and a.due <= b.due for a, b in pairwise(readings))
        assert all(0 <= each.in_flight <= each.due for each in readings)
        last = progress_.read()
        assert (last.ended, last.completed, last.in_flight) == (300, run["counts"]["completed"], 0)
        assert last.p50_ns == pytest.approx(run["response_ms"]["p50"] * 1e6, rel=0.006)
        assert any(each.operations_per_s["new"] > 0 and each.mean_batch[0] for each in readings)


def test_pipes_get_lines_and_machines_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainScreen, "period_s", 0.01)
    load = {"process": "constant", "request_rate": 500, "num_requests": 100, "attempts": 1}
    config = table_config(tmp_path, policies=[NORMAL], load=load)
    piped = dvabatch("bench", config, "-o", tmp_path / "out").err
    assert "NORMAL, constant at 500/s, seed 1: 0 of 0 s, " in piped
    assert "\x1b" not in piped
    machine = dvabatch("bench", config, "-o", tmp_path / "out", "--json").err
    assert not any(said in machine for said in ("asked", "this host", "\x1b"))


def test_on_a_terminal_points_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, seen = console()
    drawn: list[Any] = []
    monkeypatch.setattr("dvabatch_cli.experiment.err", shown)
    monkeypatch.setattr(TerminalScreen, "period_s", 0.01)
    close = TerminalScreen.close
    monkeypatch.setattr(TerminalScreen, "close", lambda self: (drawn.append(self), close(self)))
    load = {"process": "constant", "request_rate": 500, "num_requests": 100, "attempts": 1}
    dvabatch("bench", table_config(tmp_path, policies=[NORMAL], load=load), "-o", tmp_path / "out")
    assert len(drawn) == 1
    assert "NORMAL, constant at 500/s, seed 1" in seen.getvalue().decode()
