"""Batches through the driver for timing: what comes, in which order it is answered, and what counts as lone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime import device_payloads, padding
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.driven import Driven
from dvabatch.runtime.profiling import OneByOne
from dvabatch.runtime.shapes import lay_out_modules
from engines.base import Array
from tests.runtime.fake_device import FakeDevice, FakeModule
from tests.runtime.rig import frozen_token, quick_table, token_of

STAGES, MAX_BATCH = 2, 4


Row = Callable[[int, int | None], Mapping[str, Array]]


def driven(lanes: tuple[int | None, ...] = (None,), row: Row = token_of) -> tuple[Driven, Profile]:
    profile, tables = quick_table(STAGES, MAX_BATCH, [lane for lane in lanes if lane is not None])
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=2, executors_per_stage=2, lanes=lanes)
    device = FakeDevice()
    modules = [FakeModule(table) for table in tables]
    examples = [{name: rows[None] for name, rows in token_of(0, lane).items()} for lane in lanes]
    table = DeviceTable(device, lay_out_modules(modules, examples, ["answer"]), limits.buffer_sets, MAX_BATCH)
    return Driven(DeviceLauncher(device, modules, table), table, limits, row), profile


def test_whole_batches_are_answered_after_they_came_and_in_order() -> None:
    runs, profile = driven()
    arrivals_ns = [0, 0, 2_000_000, 4_000_000]
    done_ns = runs.done_ns(profile, Normal(FillOrWait(3, 0, 1)), 3, arrivals_ns)
    assert len(done_ns) == len(arrivals_ns)
    assert (done_ns > np.asarray(arrivals_ns)).all()
    assert (np.diff(done_ns) > 0).all()


def test_a_queue_comes_round_and_lone_queries_answer() -> None:
    runs, profile = driven()
    one_by_one = Normal(FillOrWait(1, 0, 1))
    queue = runs.queued(profile, one_by_one, 1, 12)
    assert queue.round_ns > queue.busy_ns > queue.queueing_ns > 0
    assert runs.lone_ns(profile, one_by_one, 0.0) > 0


def test_a_query_keeps_the_thread_busy_with_its_launches_and_not_while_they_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, poll = DeviceLauncher.start, DeviceLauncher.poll

    def start_slowly(self: DeviceLauncher, launch: Launch) -> None:
        time.sleep(0.002)
        start(self, launch)

    def poll_slowly(self: DeviceLauncher) -> list[Event]:
        time.sleep(0.02)
        return poll(self)

    monkeypatch.setattr(DeviceLauncher, "start", start_slowly)
    monkeypatch.setattr(DeviceLauncher, "poll", poll_slowly)
    runs, profile = driven()
    one, steps = runs.queued(profile, Normal(FillOrWait(1, 0, 1)), 1, 12), runs.queued(profile, OneByOne(), 1, 12)
    assert 2_000_000 <= one.queueing_ns < one.busy_ns < 20_000_000 < one.round_ns
    assert 2_000_000 <= steps.queueing_ns < 4_000_000 <= steps.busy_ns < 20_000_000


def test_a_crowd_tells_of_launches_that_found_others_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    start, waits_s = DeviceLauncher.start, [0.05]

    def start_slowly_at_first(self: DeviceLauncher, launch: Launch) -> None:
        time.sleep(waits_s.pop() if waits_s else 0.0)
        start(self, launch)

    monkeypatch.setattr(DeviceLauncher, "start", start_slowly_at_first)
    runs, profile = driven()
    found = runs.crowded(profile, Normal(FillOrWait(1, 0, 2)), 1, [0] * 10)
    assert not waits_s
    assert len(found.queueing_ns) == len(found.response_ns) == 10
    assert 0 < len(found.beside_others_ns) < 10
    assert found.queueing_ns.max() >= 50_000_000 > found.beside_others_ns.max(), "the first found nothing under way"
    assert not runs.crowded(profile, Normal(FillOrWait(1, 0, 2)), 1, [0]).beside_others_ns.size


def test_batches_alone_are_queued_deep_on_one_stream_as_long_as_they_are_expected_to_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repeated: list[tuple[object, ...]] = []
    synchronized: list[int] = []

    def repeat(self: DeviceLauncher, *asked: object) -> None:
        assert not synchronized, "only at the end"
        repeated.append(asked)

    def synchronize(self: DeviceLauncher, track: int) -> None:
        time.sleep(0.02)
        synchronized.append(track)

    monkeypatch.setattr(DeviceLauncher, "repeat", repeat)
    monkeypatch.setattr(DeviceLauncher, "synchronize", synchronize)
    runs, _ = driven((4, 8))
    assert runs.alone_ns(2, 0.01, 1e6, 1) >= 2e6, "a tenth of what ten took"
    assert repeated == [(0, 0, 1, Place(0, 0, 2), 1)] * 10
    assert synchronized == [0]
    repeated.clear()
    synchronized.clear()
    assert runs.alone_ns(2, 0.01, 1e9) >= 1e7
    assert len(repeated) == 2, "at least"


def test_payloads_are_of_all_lengths_of_their_lane_and_none_is_looked_at_for_the_first_time_in_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled: list[int] = []
    pool: dict[tuple[int, int | None], Mapping[str, Array]] = {}
    brought: list[int | None] = []

    def fill_row(row: Array, value: Array, pad: float, name: str) -> None:
        filled.append(len(value))
        padding.fill_row(row, value, pad, name)

    def row(query_id: int, length: int | None) -> Mapping[str, Array]:
        brought.append(length)
        assert length is not None
        key = query_id % 64, length
        return pool[key] if key in pool else pool.setdefault(key, frozen_token(*key))

    monkeypatch.setattr(device_payloads, "fill_row", fill_row)
    runs, profile = driven((4, 8), row)
    for lane, lengths in ((1, {5, 6, 7, 8}), (0, {1, 2, 3, 4})):
        brought.clear()
        runs.done_ns(profile, Normal(FillOrWait(4, 0, 1)), 4, [0] * 40, lane)
        assert set(brought[:160]) == set(brought[-160:]) == lengths
        known = len(filled)
        assert known == len({key for key in pool if key[1] in lengths}) + (64 * 4 if lane == 0 else 0)
        runs.done_ns(profile, Normal(FillOrWait(4, 0, 1)), 4, [0] * 40, lane)
        assert len(filled) == known
