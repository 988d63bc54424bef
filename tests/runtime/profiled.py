"""A device that is none, profiled."""

from __future__ import annotations

from dvabatch.batching.limits import Limits
from dvabatch.runtime.clock_powers import Clock
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_profiling import DeviceEffort, DeviceProfiler
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.profiling import ProfileRun
from dvabatch.runtime.shapes import lay_out_modules
from tests.runtime.fake_device import FakeDevice, FakeModule
from tests.runtime.rig import quick_table, token_of

EFFORT = DeviceEffort(
    budget_s=0.0005, rounds=1, queries=6, cycles=6, launches=20, light_s=0.0, rest_s=0.0, heat_s=0.001, burst_s=0.0
)
STAGES, MAX_BATCH = 2, 4


def profiled(
    limits: Limits, device: FakeDevice | None = None, clock: Clock | None = None
) -> tuple[ProfileRun, DeviceLauncher, list[str]]:
    lanes = [lane for lane in limits.lanes if lane is not None]
    _, tables = quick_table(STAGES, MAX_BATCH, lanes)
    _, wholes = quick_table(1, MAX_BATCH, lanes)
    device = device or FakeDevice()
    examples = [{name: rows[None] for name, rows in token_of(0, lane).items()} for lane in limits.lanes]
    modules = [FakeModule(table) for table in tables]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), limits.buffer_sets, MAX_BATCH)
    launcher = DeviceLauncher(device, modules, table)
    whole = FakeModule(wholes[0])
    alone = DeviceTable(device, lay_out_modules([whole], examples, ["answer"]), 1, MAX_BATCH)
    told: list[str] = []
    profiler = DeviceProfiler(
        "fake", "fake 1", (launcher, table), DeviceLauncher(device, [whole], alone), limits, examples,
        row=token_of, effort=EFFORT, progress=told.append, clock=clock,
    )  # fmt: skip
    return profiler.measure(), launcher, told
