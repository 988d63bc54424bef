"""Errands: bytes there and back by the calls of a launch, one at a time."""

from __future__ import annotations

import pytest

from dvabatch.batching.events import DeviceLost
from dvabatch.runtime.device_errand import Errand
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.shapes import lay_out_modules
from tests.runtime.fake_device import FakeDevice, FakeModule, FakeStream
from tests.runtime.rig import quick_table, token_of


class Counting(FakeDevice):
    """A device that says what is queued on it."""

    @property
    def queued(self) -> int:
        return sum(len(stream.entries) for stream in self._streams)

    @property
    def launched(self) -> bool:
        return any("stages" in stream.did for stream in self._streams)

    def run_all(self) -> None:
        while self.queued:
            self.go_on()


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_sent_comes_back(seed: int, graphs: bool) -> None:
    device = Counting(seed)
    errand = Errand(device, graphs=graphs)
    assert device.queued == 0
    for value in (3, 7):
        errand._sent[:] = value
        errand.run()
        device.run_all()
        assert (errand._brought == value).all()
    assert device.launched is graphs


def test_nobody_sets_out_before_the_last_one_is_back() -> None:
    device = Counting()
    errand = Errand(device, graphs=True)
    errand.run()
    queued = device.queued
    errand.run()  # asking lets the device do one piece of it
    assert device.queued == queued - 1
    device.run_all()
    errand.run()
    assert device.queued == queued


def launcher_on(device: FakeDevice) -> DeviceLauncher:
    _, tables = quick_table(2, 4)
    modules = [FakeModule(table) for table in tables]
    examples = [{name: rows[None] for name, rows in token_of(0).items()}]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), 2, 4)
    return DeviceLauncher(device, modules, table)


def test_nothing_is_heard_of_a_rehearsed_launch() -> None:
    device = Counting()
    launcher = launcher_on(device)
    launcher.rehearse()
    assert device.queued > 0
    assert not launcher.in_flight
    device.run_all()
    assert launcher.poll() == []


def test_a_device_that_is_found_lost_in_a_rehearsal_is_reported_once() -> None:
    launcher = launcher_on(FakeDevice(broken_after=0))
    launcher.rehearse()
    launcher.rehearse()  # which asks for the first
    assert launcher.in_flight
    assert launcher.poll() == [DeviceLost("the device fell off the bus")]
    launcher.rehearse()
    assert launcher.poll() == []


def test_streams_are_as_many_as_run_apart() -> None:
    device = Counting()
    launcher = launcher_on(device)
    assert all(isinstance(stream, FakeStream) for stream in device._streams)
    for track in range(2 + launcher.more_tracks):
        launcher._tracks.at(track)
    assert len(device._streams) <= 32
