"""What the GPU does beside computing: clocks, power, throttling and energy, by NVIDIA's management library."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# The bits of nvmlDeviceGetCurrentClocksEventReasons that are not trouble: idle, and clocks that an application set.
_HARMLESS = 0x1 | 0x2
_STEADY = 0.02  # clocks that differ by less are the same
_PARTS = 10  # of a run, for each of which its mean clock is told


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the GPU; None where the card or driver does not say."""

    sm_mhz: int | None
    memory_mhz: int | None
    reasons: int | None
    energy_mj: int | None
    at_us: int  # since 1970, as the card stamps its samples


class Watch:
    """One GPU."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def look(self) -> Look:
        nvml, handle = self._nvml, self._handle
        return Look(
            self._ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            self._ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            self._ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
            self._ask(lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle)),
            time.time_ns() // 1000,
        )

    def compare(self, before: Look) -> dict[str, Any]:
        """What a run says of its GPU: clocks at its start and end and in each tenth of it, whether they changed, what held them
        down, energy."""
        after = self.look()
        changed = (
            before.sm_mhz is not None
            and after.sm_mhz is not None
            and abs(after.sm_mhz - before.sm_mhz) > _STEADY * before.sm_mhz
        )
        energy = None
        if before.energy_mj is not None and after.energy_mj is not None:
            energy = (after.energy_mj - before.energy_mj) / 1e3
        return {
            "sm_mhz": [before.sm_mhz, after.sm_mhz],
            "sm_mhz_by_tenth": self._clocks(before.at_us, after.at_us),
            "memory_mhz": [before.memory_mhz, after.memory_mhz],
            "clocks_changed": changed,
            "throttled": None if after.reasons is None else bool(after.reasons & ~_HARMLESS),
            "energy_j": energy,
        }

    def facts(self) -> dict[str, Any]:
        """What a report's environment says of the GPU."""
        nvml, handle = self._nvml, self._handle
        memory = self._ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total)
        return {
            "name": self._ask(lambda: _text(nvml.nvmlDeviceGetName(handle))),
            "driver": self._ask(lambda: _text(nvml.nvmlSystemGetDriverVersion())),
            "cuda": self._ask(nvml.nvmlSystemGetCudaDriverVersion_v2),
            "memory_bytes": memory,
            "power_cap_w": None
            if (cap := self._ask(lambda: nvml.nvmlDeviceGetPowerManagementLimit(handle))) is None
            else cap / 1e3,
            "most_sm_mhz": self._ask(lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)),
            "temperature_c": self._ask(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            "throttle_reasons": self._ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        }

    def _clocks(self, begin_us: int, end_us: int) -> list[int | None] | None:
        """The mean clock in each tenth of a time that is over, by the samples that the driver takes of itself."""
        nvml, handle = self._nvml, self._handle
        asked = self._ask(lambda: nvml.nvmlDeviceGetSamples(handle, nvml.NVML_PROCESSOR_CLK_SAMPLES, begin_us))
        if asked is None:
            return None
        return means_by_part([(each.timeStamp, each.sampleValue.uiVal) for each in asked[1]], begin_us, end_us)

    def _ask(self, question: Any) -> Any:
        """An answer; None where this card, driver or library has none."""
        try:
            return question()
        except (self._nvml.NVMLError, AttributeError):
            return None


def means_by_part(samples: Sequence[tuple[int, int]], begin_us: int, end_us: int) -> list[int | None]:
    """Of (instant, value), the mean value in each tenth of a time; None where there is no sample."""
    parts: list[list[int]] = [[] for _ in range(_PARTS)]
    for at_us, value in samples:
        if begin_us <= at_us < end_us:
            parts[_PARTS * (at_us - begin_us) // (end_us - begin_us)].append(value)
    return [round(sum(part) / len(part)) if part else None for part in parts]


@contextmanager
def open_watch(index: int = 0) -> Iterator[Watch | None]:
    """A watch on GPU `index`; None where the library, the driver or the GPU is not there."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        yield None
        return
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        yield None
        return
    try:
        yield Watch(nvml, handle)
    finally:
        nvml.nvmlShutdown()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
