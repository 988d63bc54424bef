"""What a run has to itself."""

from __future__ import annotations

import gc
import sys

import pytest
import typer

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.runtime import device_payloads, padding
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.shapes import lay_out, lay_out_modules
from dvabatch.runtime.table import table_stages
from dvabatch.runtime.tensors import TensorTable
from dvabatch_cli.console import one_message
from dvabatch_cli.errors import Exit
from dvabatch_cli.sites import GpuSite, HostSite, undisturbed
from engines.base import Array
from tests.runtime.fake_device import FakeDevice, FakeModule
from tests.runtime.rig import frozen_token, token_of


@pytest.mark.parametrize(("share", "shown"), [(0.5, 1.0), (1.0, 0.5)])
def test_two_launches_that_sleep_do_not_disturb_each_other_whatever_the_profile_says(
    share: float, shown: float
) -> None:
    profile, stages = table_stages({"stages": [{"latency_ms": {"1": 8.0}, "share": {"1": 0.5}}] * 2})
    examples = [{name: rows[None] for name, rows in token_of(0, None).items()}]
    said = profile.at_disturbance(2 * share)
    limits = Limits(2, 1, buffer_sets=2, executors_per_stage=2)
    table = TensorTable(lay_out(stages, examples, ["answer"]), limits.buffer_sets, 1)
    assert HostSite(stages, table, examples, limits, said).disturbance() == pytest.approx(shown, rel=0.2)
    alone = Limits(2, 1, buffer_sets=2, executors_per_stage=1)
    assert HostSite(stages, table, examples, alone, said).disturbance() is None


def test_a_run_finds_no_old_garbage_and_leaves_the_interpreter_as_it_was() -> None:
    before_s = sys.getswitchinterval()
    with pytest.raises(KeyboardInterrupt), undisturbed():
        assert gc.get_freeze_count() > 1000
        assert gc.collect() == 0, "what was there before is looked through again"
        assert sys.getswitchinterval() != before_s or before_s == pytest.approx(5e-3)
        raise KeyboardInterrupt
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == before_s


def test_a_gpu_s_host_has_looked_at_all_payloads_of_a_run_in_every_lane_that_takes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled: list[int] = []

    def fill_row(row: Array, value: Array, pad: float, name: str) -> None:
        filled.append(len(row))
        padding.fill_row(row, value, pad, name)

    monkeypatch.setattr(device_payloads, "fill_row", fill_row)
    lanes = (4, 8)
    profile, stages = table_stages({"lanes": {str(lane): {"stages": [{"latency_ms": {"1": 0.01}}]} for lane in lanes}})
    limits = Limits(1, 1, lanes=lanes)
    examples = [{name: rows[None] for name, rows in token_of(0, lane).items()} for lane in lanes]
    device, modules = FakeDevice(), [FakeModule(stage) for stage in stages]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), 1, 1)
    site = GpuSite(DeviceLauncher(device, modules, table), table, profile)
    payloads = [frozen_token(index, length) for index, length in enumerate((3, 5, 9))]
    site.know([(payload, length) for payload, length in zip(payloads, (3, 5, 9), strict=True)], {})
    assert sorted(filled) == [4, 8, 8], "the third is too long for any"
    driver = site.driver(Machine(limits, profile, Normal(FillOrWait(1, 0, 1))), JournalObserver(Journal(2, [3, 5])))
    with site.starter(driver, payloads.__getitem__, {}) as starter:
        driver.run(starter, PullArrivals([0, 0], [3, 5]))
    assert len(filled) == 3
    assert device.queued == 0


@pytest.mark.parametrize("deaf_after", [None, 0])
def test_a_gpu_that_was_lost_ends_the_command_with_one_message(
    capsys: pytest.CaptureFixture[str], deaf_after: int | None
) -> None:
    profile, stages = table_stages({"stages": [{"latency_ms": {"1": 0.01}}] * 2})
    examples = [{name: rows[None] for name, rows in token_of(0, None).items()}]
    device, modules = FakeDevice(deaf_after=deaf_after), [FakeModule(stage) for stage in stages]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), 1, 1)
    site = GpuSite(DeviceLauncher(device, modules, table), table, profile)
    driver = site.driver(Machine(Limits(2, 1), profile, Normal(FillOrWait(1, 0, 1))), JournalObserver(Journal(3)))

    def drive() -> None:
        with one_message(), site.starter(driver, token_of, {}) as starter:
            driver.run(starter, PullArrivals([0, 0, 0], None))

    if deaf_after is None:
        drive()
    else:
        with pytest.raises(typer.Exit) as ended:
            drive()
        assert ended.value.exit_code == Exit.ENVIRONMENT
        said = capsys.readouterr().err
        assert said.startswith(
            "dvabatch: the GPU was lost: the device fell off the bus; what was measured before is kept"
        )
        assert said.endswith("then go on with --resume\n")
