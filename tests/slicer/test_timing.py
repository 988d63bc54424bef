"""Timing in a chain: turns, warm-up, budget, and what bursts of other load may not change."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from slicer.timing import MOST_RUNS, WARM_UPS, Link, Runs, batch_sizes, shares, time_chain
from tests.slicer.clock import Clock

Array = np.ndarray[Any, Any]


class Doubler:
    """Stands in for a session: doubles its input, and takes its time on a clock."""

    def __init__(self, clock: Clock, read: str, written: str, took_s: float, log: list[tuple[str, int]]) -> None:
        self.clock, self.read, self.written, self.took_s, self.log = clock, read, written, took_s, log

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        assert set(feeds) == {self.read}
        size = len(feeds[self.read])
        self.log.append((self.read, size))
        self.clock.spend(self.took_s * size)
        return {self.written: feeds[self.read] * 2}


def chain(clock: Clock, *took_s: float) -> tuple[list[Link], list[tuple[str, int]]]:
    log: list[tuple[str, int]] = []
    names = [f"t{place}" for place in range(len(took_s) + 1)]
    links = [
        Link(Doubler(clock, names[place], names[place + 1], took, log), (names[place],), frozenset({names[place + 1]}))
        for place, took in enumerate(took_s)
    ]
    return links, log


ROW = {"t0": np.ones((1, 2), np.float32)}


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8)), (33, (1, 2, 4, 8, 16, 32, 33))]
)
def test_batch_sizes(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


def test_parts_and_sizes_take_turns() -> None:
    clock = Clock()
    links, log = chain(clock, 1.0, 3.0)
    runs = time_chain(links, ROW, [1, 4], 0.0, least_runs=2, now_s=clock)
    once = [("t0", 4), ("t1", 4), ("t0", 1), ("t1", 1)]
    assert log == once * (WARM_UPS + 2)
    assert runs.best_ms() == [{1: 1000.0, 4: 4000.0}, {1: 3000.0, 4: 12000.0}]
    assert runs.total_ms(4) == 16000.0
    assert runs.noise() == 0.0


def test_the_budget_buys_more_runs_of_small_batches_up_to_a_limit() -> None:
    clock = Clock()
    links, _ = chain(clock, 1.0)
    runs = time_chain(links, ROW, [1, 4], 16.0, now_s=clock)
    assert {size: len(found) for size, found in runs.seconds.items()} == {1: 8, 4: 2}
    runs = time_chain(links, ROW, [1], 1e9, now_s=clock)
    assert len(runs.seconds[1]) == MOST_RUNS


def test_a_burst_changes_nothing_while_each_part_has_a_quiet_run() -> None:
    quiet, busy = Clock(), Clock(slow_down=lambda call: 5.0 if call % 7 < 3 else 1.0)
    found = [
        time_chain(chain(clock, 1.0, 2.0)[0], ROW, [1, 2], 0.0, least_runs=9, now_s=clock) for clock in (quiet, busy)
    ]
    assert found[0].best_ms() == found[1].best_ms()
    assert found[0].total_ms(1) <= found[1].total_ms(1)


def test_noise_is_how_far_two_halves_disagree() -> None:
    assert Runs({1: [[1.0, 1.0], [1.0, 1.0], [3.0, 5.0]]}).noise() == 0.0
    assert Runs({1: [[1.0, 1.0], [3.0, 1.0]]}).noise() == pytest.approx(0.25)  # 1/2 against 3/4
    assert Runs({1: [[1.0, 1.0]]}).noise() == 0.0  # one run has no halves


def test_shares_sum_to_the_whole_at_every_size() -> None:
    assert shares([{1: 10.0, 4: 40.0}, {1: 30.0, 4: 120.0}]) == pytest.approx([0.25, 0.75])
    assert shares([{1: 1.0, 4: 3.0}, {1: 1.0, 4: 1.0}]) == pytest.approx([0.625, 0.375])
    assert shares([{1: 0.0}, {1: 0.0}]) == [0.0, 0.0]
