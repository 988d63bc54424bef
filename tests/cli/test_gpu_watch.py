"""A watch on a GPU, on a hand-written stand-in for NVIDIA's library."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dvabatch_cli.clock_notes import ClockNotes
from dvabatch_cli.gpu_watch import Look, Watch, handle_of, note_clocks, note_energy
from dvabatch_cli.testbed import RealBed
from tests.cli.command import NORMAL, dvabatch, report_of, table_config


class NvmlError(Exception):
    pass


@dataclass
class Nvml:
    """Answers as the library does; `refuses` are calls that this card or driver does not know."""

    sm_mhz: int = 1980
    energy_mj: int = 1_000
    reasons: int = 0
    refuses: tuple[str, ...] = ()

    NVMLError = NvmlError
    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    def nvmlDeviceGetClockInfo(self, handle: object, which: int) -> int:
        return self.sm_mhz if which == self.NVML_CLOCK_SM else 3201

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"number {index}"

    def nvmlDeviceGetHandleByPciBusId(self, bus_id: str) -> str:
        return f"that at {bus_id}"

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: object) -> int:
        return self.reasons

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object) -> int:
        if "energy" in self.refuses:
            raise NvmlError
        return self.energy_mj


def test_a_run_says_what_its_gpu_did() -> None:
    nvml = Nvml()
    watch = Watch(nvml, None)
    before = watch.look()
    nvml.sm_mhz, nvml.energy_mj, nvml.reasons = 1500, 3_500, 0x4
    told = watch.compare(before)
    assert told["sm_mhz"] == [1980, 1500]
    assert (told["clocks_changed"], told["throttled"], told["energy_j"]) == (True, True, 2.5)


def test_what_a_card_does_not_say_is_none() -> None:
    watch = Watch(Nvml(refuses=("energy",)), None)
    told = watch.compare(watch.look())
    assert told["energy_j"] is None
    assert (told["clocks_changed"], told["throttled"]) == (False, False)


def test_idle_clocks_are_no_trouble() -> None:
    watch = Watch(Nvml(reasons=0x1), None)
    assert watch.compare(Look(1980, 3201, 0, 0))["throttled"] is False


class EveryMillisecond(io.StringIO):
    """A file in which someone notes a clock of 1,400 MHz every millisecond, from now on."""

    def __init__(self) -> None:
        super().__init__()
        self._next_ns = time.perf_counter_ns()

    def read(self, size: int | None = -1, /) -> str:
        begun_ns, self._next_ns = self._next_ns, time.perf_counter_ns()
        return "".join(f"{at_ns} 1400\n" for at_ns in range(begun_ns, self._next_ns, 1_000_000))


def test_a_run_tells_the_clocks_that_were_noted_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class WatchedBed(RealBed):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words, watch=Watch(Nvml(), None), clock_notes=ClockNotes(EveryMillisecond()))

    monkeypatch.setattr("dvabatch_cli.open_bed.RealBed", WatchedBed)
    load = {"process": "constant", "request_rate": 500, "num_requests": 100, "attempts": 1}
    done = dvabatch("bench", table_config(tmp_path, policies=[NORMAL], load=load), "-o", tmp_path / "out")
    assert done.code in (0, 4), done.err
    (run,) = report_of(tmp_path / "out")["runs"]
    assert run["gpu"]["sm_mhz"] == [1980, 1980]
    assert run["gpu"]["sm_mhz_by_tenth"] == [1400] * 10
    assert run["gpu"]["clocks_changed"] is True
    assert run["gpu"]["energy_j_per_answer"] == 0


def test_a_clock_that_sank_and_rose_again_has_changed() -> None:
    watch = Watch(Nvml(), None)
    told = watch.compare(watch.look())
    note_clocks(told, [1980, None, 1400, *[1980] * 7])
    assert told["clocks_changed"] is True
    note_clocks(told, [1980, 1965, *[None] * 8])
    assert told["clocks_changed"] is False


def test_energy_is_told_by_the_answer() -> None:
    told: dict[str, Any] = {"energy_j": 2.5}
    note_energy(told, 1000)
    assert told["energy_j_per_answer"] == 0.0025
    note_energy(told, 0)
    assert told["energy_j_per_answer"] is None


def test_the_gpu_that_is_used_is_watched_and_not_the_first_of_all() -> None:
    assert handle_of(Nvml(), "0000:3B:00.0") == "that at 0000:3B:00.0"
    assert handle_of(Nvml(), None) == "number 0"
