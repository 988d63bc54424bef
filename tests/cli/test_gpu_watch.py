"""A watch on a GPU, on a hand-written stand-in for NVIDIA's library."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from dvabatch_cli.gpu_watch import Look, Watch, means_by_part


class NvmlError(Exception):
    pass


@dataclass
class Nvml:
    """Answers as the library does; `refuses` are calls that this card or driver does not know."""

    sm_mhz: int = 1980
    energy_mj: int = 1_000
    reasons: int = 0
    samples: list[tuple[int, int]] = field(default_factory=list)
    refuses: tuple[str, ...] = ()

    NVMLError = NvmlError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_PROCESSOR_CLK_SAMPLES = 1, 2, 5

    def nvmlDeviceGetClockInfo(self, handle: object, which: int) -> int:
        return self.sm_mhz if which == self.NVML_CLOCK_SM else 3201

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: object) -> int:
        return self.reasons

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object) -> int:
        if "energy" in self.refuses:
            raise NvmlError
        return self.energy_mj

    def nvmlDeviceGetSamples(self, handle: object, kind: int, since_us: int) -> tuple[int, list[Any]]:
        if "samples" in self.refuses:
            raise NvmlError
        assert kind == self.NVML_PROCESSOR_CLK_SAMPLES
        found = [SimpleNamespace(timeStamp=at, sampleValue=SimpleNamespace(uiVal=mhz)) for at, mhz in self.samples]
        return 1, [each for each in found if each.timeStamp > since_us]


def test_a_run_says_what_its_gpu_did() -> None:
    nvml = Nvml()
    watch = Watch(nvml, None)
    before = watch.look()
    nvml.sm_mhz, nvml.energy_mj, nvml.reasons = 1500, 3_500, 0x4
    nvml.samples = [(before.at_us - 5, 100), (before.at_us + 1, 1700)]
    told = watch.compare(before)
    assert told["sm_mhz"] == [1980, 1500]
    assert (told["clocks_changed"], told["throttled"], told["energy_j"]) == (True, True, 2.5)
    assert 1700 in told["sm_mhz_by_tenth"]
    assert 100 not in told["sm_mhz_by_tenth"]


def test_what_a_card_does_not_say_is_none() -> None:
    watch = Watch(Nvml(refuses=("energy", "samples")), None)
    told = watch.compare(watch.look())
    assert (told["energy_j"], told["sm_mhz_by_tenth"]) == (None, None)
    assert (told["clocks_changed"], told["throttled"]) == (False, False)


def test_idle_clocks_are_no_trouble() -> None:
    watch = Watch(Nvml(reasons=0x1), None)
    assert watch.compare(Look(1980, 3201, 0, 0, 0))["throttled"] is False


@pytest.mark.parametrize(
    ("samples", "means"),
    [
        ([], [None] * 10),
        ([(1_000, 10), (1_099, 20), (1_100, 30), (1_999, 40)], [15, 30, *[None] * 7, 40]),
        ([(999, 10), (2_000, 20)], [None] * 10),
    ],
)
def test_samples_count_in_the_tenth_that_they_fall_in(samples: list[tuple[int, int]], means: list[int | None]) -> None:
    assert means_by_part(samples, 1_000, 2_000) == means
