"""The table engine: its rows say who went through how many stages, and its launches share one device."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from engines.errors import EngineError
from engines.table import TableDevice, TableEngine


def chain(stages: int, *, has_lengths: bool = False, max_batch: int = 4) -> list[TableEngine]:
    device = TableDevice(lambda shares: max(1.0, shares))
    return [
        TableEngine(
            stage, stages, lambda batch, row: (1000, 1.0), device, max_batch=max_batch, key="t", has_lengths=has_lengths
        )
        for stage in range(stages)
    ]


def test_a_row_says_who_went_through_how_many_stages() -> None:
    rows = {"query": np.array([[7, 0], [9, 0]])}
    for engine in chain(3):
        with engine:
            rows = engine.infer(rows)
    assert rows["answer"].tolist() == [[7, 3], [9, 3]]


def test_with_lengths_every_step_of_a_sequence_says_so() -> None:
    (engine,) = chain(1, has_lengths=True)
    answer = engine.infer({"query": np.tile(np.array([5, 0]), (1, 6, 1))})["answer"]
    assert answer.tolist() == [[[5, 1]] * 6]


def test_it_works_in_place_and_on_its_rows_alone() -> None:
    (engine,) = chain(1)
    source, target = np.array([[1, 0], [2, 0], [3, 0]]), np.full((3, 2), -1)
    engine.run({"query": source[1:2]}, {"answer": target[1:2]})
    assert target.tolist() == [[-1, -1], [2, 1], [-1, -1]]
    assert source.tolist() == [[1, 0], [2, 0], [3, 0]]


@pytest.mark.parametrize(("rows", "answers"), [((5, 2), (5, 2)), ((0, 2), (0, 2)), ((2, 2), (1, 2))])
def test_rows_that_do_not_fit_are_refused(rows: tuple[int, ...], answers: tuple[int, ...]) -> None:
    (engine,) = chain(1)
    with pytest.raises(EngineError, match="takes 1 to 4 rows"):
        engine.run({"query": np.zeros(rows, np.int64)}, {"answer": np.zeros(answers, np.int64)})


class Overlap:
    """A device on which work alone never ends, and ends at once when two have met."""

    def __init__(self) -> None:
        self.alone = threading.Event()
        self.shares: list[float] = []

    def __call__(self, shares: float) -> float:
        self.shares.append(shares)
        self.alone.set()
        return 1e-9 if max(self.shares) > 1 else 1e9


def test_two_at_once_share_the_device() -> None:
    slowdown = Overlap()
    device = TableDevice(slowdown)
    first = threading.Thread(target=device.work, args=(1_000_000, 0.75), daemon=True)
    first.start()
    assert slowdown.alone.wait(30)
    device.work(1_000_000, 0.5)  # would not end, nor would the other, if it did not slow or speed what is in flight
    first.join(30)
    assert not first.is_alive()
    assert max(slowdown.shares) == 1.25
    assert slowdown.shares[0] == 0.75


def test_what_has_ended_takes_no_share_any_more() -> None:
    seen: list[float] = []

    def slowdown(shares: float) -> float:
        seen.append(shares)
        return 1.0

    device = TableDevice(slowdown)
    for _ in range(3):
        device.work(1000, 0.5)
    assert set(seen) == {0.5}
