"""What the GPU does beside computing: clocks, power, throttling and energy, by NVIDIA's management library."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engines.cuda import first_bus_id

# The bits of nvmlDeviceGetCurrentClocksEventReasons that are not trouble: idle, and clocks that an application set.
_HARMLESS = 0x1 | 0x2
_STEADY = 0.02  # clocks that differ by less are the same


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the GPU; None where the card or driver does not say."""

    sm_mhz: int | None
    memory_mhz: int | None
    reasons: int | None
    energy_mj: int | None


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
        )

    def compare(self, before: Look) -> dict[str, Any]:
        """What a run says of its GPU: clocks at its start and end, whether they changed, what held them down, energy."""
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

    def _ask(self, question: Any) -> Any:
        """An answer; None where this card, driver or library has none."""
        try:
            return question()
        except (self._nvml.NVMLError, AttributeError):
            return None


def note_clocks(told: dict[str, Any], sm_mhz_by_tenth: Sequence[int | None]) -> None:
    """Adds what the clock was in each tenth of a run: one that sank and rose again has changed, too."""
    told["sm_mhz_by_tenth"] = list(sm_mhz_by_tenth)
    clocks = [mhz for mhz in (*told["sm_mhz"], *sm_mhz_by_tenth) if mhz is not None]
    told["clocks_changed"] = bool(clocks) and max(clocks) - min(clocks) > _STEADY * max(clocks)


def note_energy(told: dict[str, Any], answers: int) -> None:
    """Adds what each answer took of it, idle times included."""
    energy_j = told["energy_j"]
    told["energy_j_per_answer"] = None if energy_j is None or not answers else round(energy_j / answers, 6)


def handle_of(nvml: Any, bus_id: str | None) -> Any:
    """The library's name for the GPU that sits there; for the first one where nobody says."""
    return nvml.nvmlDeviceGetHandleByIndex(0) if bus_id is None else nvml.nvmlDeviceGetHandleByPciBusId(bus_id)


@contextmanager
def open_watch() -> Iterator[Watch | None]:
    """A watch on the GPU that is used here; None where the library, the driver or the GPU is not there."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        yield None
        return
    try:
        nvml.nvmlInit()
        handle = handle_of(nvml, first_bus_id())
    except nvml.NVMLError:
        yield None
        return
    try:
        yield Watch(nvml, handle)
    finally:
        nvml.nvmlShutdown()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
