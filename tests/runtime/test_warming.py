"""All that a run needs is made before it, as far as there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.shapes import lay_out_modules
from dvabatch.runtime.warming import warmed
from tests.runtime.fake_device import FakeDevice, FakeExecutor, FakeModule, FakeStream
from tests.runtime.profiled import MAX_BATCH, STAGES, profiled
from tests.runtime.rig import quick_table, token_of


def test_warming_up_captures_every_size_of_every_set_once() -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    _, launcher, _ = profiled(limits)
    before = len(launcher.graphs)
    assert len(list(warmed(launcher, limits))) == 3 + 1
    assert launcher.more_tracks == 1
    # In place: the whole span and each stage; on a track's own rows: each stage.
    in_place, elsewhere = limits.buffer_sets * (1 + STAGES), (limits.buffer_sets + launcher.more_tracks) * STAGES
    assert len(launcher.graphs) == MAX_BATCH * (in_place + elsewhere)
    assert before <= len(launcher.graphs)
    launcher.graphs.forget_counts()
    list(warmed(launcher, limits))
    assert launcher.graphs.misses == 0


def test_no_graph_that_was_prepared_is_launched_for_the_first_time_in_a_run() -> None:
    """That takes a host much longer than any later launch; and all of it is over when the run begins."""
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    device = FakeDevice()
    _, launcher, _ = profiled(limits, device)
    list(warmed(launcher, limits))
    assert len(device.launches) == len(launcher.graphs) > 0
    assert min(device.launches) > 0
    assert device.queued == 0


def test_without_graphs_all_that_runs_is_made_beforehand() -> None:
    made: list[int] = []
    ran: list[int] = []  # how many rows

    class Executor(FakeExecutor):
        def enqueue(self, stream: FakeStream, addresses: Mapping[str, int], shapes: Mapping[str, Any]) -> None:
            ran.append(next(iter(shapes.values()))[0])
            super().enqueue(stream, addresses, shapes)

    class Counting(FakeModule):
        def executor(self, arena: int) -> FakeExecutor:
            made.append(arena)
            return Executor(self)

    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    _, tables = quick_table(STAGES, MAX_BATCH, [])
    device, modules = FakeDevice(), [Counting(table) for table in tables]
    examples = [{name: rows[None] for name, rows in token_of(0, None).items()}]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), limits.buffer_sets, MAX_BATCH)
    launcher = DeviceLauncher(device, modules, table, graphs=0)
    assert next(warmed(launcher, limits)) == "making contexts, set 1 of 3"
    list(warmed(launcher, limits))
    tracks = limits.buffer_sets + launcher.more_tracks
    assert (len(made), len(set(made))) == (tracks * STAGES, tracks)  # the contexts of a track share its memory
    # No graph is to be launched, so each way runs once: the whole span, each stage, each stage elsewhere.
    assert Counter(ran) == dict.fromkeys((1, MAX_BATCH), (3 * limits.buffer_sets + launcher.more_tracks) * STAGES)
    before = len(made)
    for index in range(tracks):
        launcher.repeat(index, 0, STAGES - 1, Place(index % 3, 0, MAX_BATCH), 0)
    assert len(made) == before
    assert len(launcher.graphs) == 0


def test_no_more_graphs_are_kept_than_were_there_when_memory_ran_low() -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    device = FakeDevice()
    _, launcher, _ = profiled(limits, device)
    kept = len(launcher.graphs)
    device.fill((1 << 30) // 8)
    told = list(warmed(launcher, limits))
    assert told[-1] == f"{kept} graphs fill the room there is: others take the place of these in the run"
    assert (len(launcher.graphs), launcher.graphs.room) == (kept, kept)


def test_where_there_is_no_room_for_all_graphs_the_rest_is_captured_in_the_run() -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=3, executors_per_stage=2)
    _, launcher, _ = profiled(limits)
    launcher.graphs.room = len(launcher.graphs) + 7
    told = list(warmed(launcher, limits))
    assert (
        told[-1] == f"{len(launcher.graphs)} graphs fill the room there is: others take the place of these in the run"
    )
    assert launcher.graphs.room == len(launcher.graphs)
    assert launcher.spans.capturing
    launcher.graphs.room = 1000
    list(warmed(launcher, limits))
    assert not launcher.spans.capturing
