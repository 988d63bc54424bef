"""The launcher: every launch ends in exactly one event, whatever the engine does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import numpy as np
import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFailed, LaunchFinished
from dvabatch.batching.place import Place
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.tensors import TensorTable
from engines.base import Array
from engines.errors import EngineError
from tests.runtime.rig import Around, quick_table, token_of

STAGES, MAX_BATCH = 3, 4


class Bench:
    """A launcher over table stages, its memory, and the events it reports."""

    def __init__(
        self, before: Callable[[Array], None], payload: Callable[[int], Mapping[str, Array] | None] = token_of
    ) -> None:
        _, tables = quick_table(STAGES, MAX_BATCH)
        stages = [Around(each, before) for each in tables]
        layout = lay_out(stages, [{name: rows[None] for name, rows in token_of(0).items()}], ["answer"])
        self.table = TensorTable(layout, 2, MAX_BATCH, poison=True)
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.launcher = Launcher(stages, self.table, payload, {}, self.events.put)

    def next(self) -> Event:
        return self.events.get(timeout=30)

    def rest(self) -> list[Event]:
        """What is reported until every launch has ended."""
        self.launcher.close()
        events = []
        while True:
            try:
                events.append(self.events.get_nowait())
            except Empty:
                return events

    def rows(self, place: Place, name: str) -> list[list[int]]:
        rows: list[list[int]] = self.table.rows(place, 0, (name,))[name].tolist()
        return rows


@contextmanager
def bench(
    before: Callable[[Array], None] = lambda rows: None,
    payload: Callable[[int], Mapping[str, Array] | None] = token_of,
) -> Iterator[Bench]:
    made = Bench(before, payload)
    try:
        yield made
    finally:
        made.launcher.close()


def launch(
    launch_id: int, ids: tuple[int, ...], *, row: int = 0, buffer_set: int = 0, first: int = 0, last: int = STAGES - 1,
    after: int | None = None,
) -> Launch:  # fmt: skip
    place = Place(buffer_set, row, len(ids))
    return Launch(launch_id, launch_id, 0, first, last, place, ids, (0,) * (last - first + 1), after)


def test_a_launch_runs_its_span_on_its_rows_alone() -> None:
    with bench() as b:
        b.launcher.start(launch(0, (7, 8), row=1, last=1))
        assert b.next() == LaunchFinished(0)
        place = Place(0, 1, 2)
        assert b.rows(place, "boundary_1") == [[7, 2], [8, 2]]
        everything = b.table.rows(Place(0, 0, MAX_BATCH), 0, ("boundary_1", "answer"))
        assert (np.delete(everything["boundary_1"], [1, 2], axis=0) == -1).all()
        assert (everything["answer"] == -1).all()
        b.launcher.start(launch(1, (7, 8), row=1, first=2, last=2))
        assert b.next() == LaunchFinished(1)
        assert b.rows(place, "answer") == [[7, 3], [8, 3]]


def test_a_cancelled_querys_row_is_zero_not_what_lay_there() -> None:
    with bench(payload=lambda query_id: None if query_id == 8 else token_of(query_id)) as b:
        b.launcher.start(launch(0, (7, 8, 9)))
        assert b.next() == LaunchFinished(0)
        assert b.rows(Place(0, 0, 3), "answer") == [[7, 3], [0, 3], [9, 3]]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineError("the stage is hot"), "the stage is hot"),
        (ZeroDivisionError("no"), "ZeroDivisionError: no"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_a_stage_that_raises_fails_its_own_launch_alone(error: Exception, reason: str) -> None:
    def hot(rows: Array) -> None:
        if rows[0, 0] == 13:
            raise error

    with bench(hot) as b:
        for launch_id, query_id in enumerate((11, 13, 12)):
            b.launcher.start(launch(launch_id, (query_id,), row=launch_id))
        events = b.rest()
        assert sorted(events, key=lambda event: getattr(event, "launch_id")) == [  # noqa: B009
            LaunchFinished(0),
            LaunchFailed(1, reason),
            LaunchFinished(2),
        ]
        assert b.rows(Place(0, 0, 1), "answer") == [[11, 3]]
        assert b.rows(Place(0, 2, 1), "answer") == [[12, 3]]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"query": np.zeros(3, np.int64)}, "the row takes up to"),
        ({"query": np.zeros(2, np.float32)}, "wanted int64"),
        ({"other": np.zeros(2, np.int64)}, "KeyError: 'query'"),
    ],
)
def test_a_payload_that_does_not_fit_fails_the_launch(payload: dict[str, Array], reason: str) -> None:
    with bench(payload=lambda query_id: payload) as b:
        b.launcher.start(launch(0, (7,)))
        event = b.next()
        assert isinstance(event, LaunchFailed)
        assert reason in event.reason


class Gate:
    """Stops launches of stage 0 until it is opened, and keeps who came in which order."""

    def __init__(self, held: int) -> None:
        self.held = held
        self.reached, self.open = threading.Event(), threading.Event()
        self.log: list[tuple[int, int]] = []

    def __call__(self, rows: Array) -> None:
        self.log.append((int(rows[0, 0]), int(rows[0, 1])))
        if rows[0, 0] == self.held and rows[0, 1] == 0:
            self.reached.set()
            assert self.open.wait(30)


@pytest.mark.parametrize("fails", [False, True])
def test_a_launch_queued_after_another_runs_behind_it(fails: bool) -> None:
    gate = Gate(held=1)

    def before(rows: Array) -> None:
        gate(rows)
        if fails and rows[0, 0] == 1:
            raise EngineError("no")

    with bench(before) as b:
        b.launcher.start(launch(0, (1,), last=1))
        assert gate.reached.wait(30)
        b.launcher.start(launch(1, (2,), row=1, last=1, after=0))
        b.launcher.start(launch(2, (3,), buffer_set=1, last=1))
        assert b.next() == LaunchFinished(2)  # beside the first; the second waits, though threads are free
        assert [who for who, _ in gate.log] == [1, 3, 3]
        gate.open.set()
        assert b.next() == (LaunchFailed(0, "no") if fails else LaunchFinished(0))
        assert b.next() == LaunchFinished(1)
        assert [who for who, _ in gate.log] == [1, 3, 3, *([] if fails else [1]), 2, 2]
        assert b.rows(Place(0, 1, 1), "boundary_1") == [[2, 2]]


def test_a_launch_after_one_that_has_ended_runs_at_once() -> None:
    with bench() as b:
        b.launcher.start(launch(0, (1,)))
        assert b.next() == LaunchFinished(0)
        b.launcher.start(launch(1, (2,), row=1, after=0))
        assert b.next() == LaunchFinished(1)


def test_a_row_of_launches_each_after_the_last_keeps_its_order() -> None:
    gate = Gate(held=0)
    with bench(gate) as b:
        b.launcher.start(launch(0, (0,)))
        assert gate.reached.wait(30)
        for launch_id in (1, 2, 3):
            b.launcher.start(launch(launch_id, (launch_id,), row=launch_id, after=launch_id - 1))
        gate.open.set()
        assert b.rest() == [LaunchFinished(launch_id) for launch_id in range(4)]


def test_every_launch_ends_in_exactly_one_event() -> None:
    def sometimes(rows: Array) -> None:
        if rows[0, 0] % 3 == rows[0, 1]:
            raise EngineError("no")

    with bench(sometimes) as b:
        for launch_id in range(60):
            b.launcher.start(launch(launch_id, (launch_id * 3 + launch_id % 5,), row=launch_id % MAX_BATCH))
        ends = Counter(getattr(event, "launch_id") for event in b.rest())  # noqa: B009
        assert ends == Counter(range(60))


def test_a_launch_that_is_given_up_is_not_reported_and_takes_the_one_behind_it_along() -> None:
    gate = Gate(held=1)
    with bench(gate) as b:
        ahead, behind = launch(0, (1,)), launch(1, (2,), row=1, after=0)
        b.launcher.start(ahead)
        assert gate.reached.wait(30)
        b.launcher.start(behind)
        assert b.launcher.give_up(ahead)
        assert len(b.launcher._workers._abandoned) == 1
        assert not b.launcher.give_up(ahead)
        assert not b.launcher.give_up(behind)  # it has gone with the other
        b.launcher.start(launch(2, (3,), buffer_set=1))  # on another thread, while the first hangs
        assert b.next() == LaunchFinished(2)
        gate.open.set()
        assert b.rest() == []
        assert {who for who, _ in gate.log} == {1, 3}


def test_one_that_has_ended_cannot_be_given_up() -> None:
    with bench() as b:
        done = launch(0, (1,))
        b.launcher.start(done)
        assert b.next() == LaunchFinished(0)
        assert not b.launcher.give_up(done)


def test_a_launch_that_is_given_up_before_a_thread_has_come_to_it_never_runs() -> None:
    gate = Gate(held=-1)
    with bench(gate) as b:
        late = launch(0, (1,))
        b.launcher._workers = Later()  # type: ignore[assignment]
        b.launcher.start(late)
        assert b.launcher.give_up(late)
        b.launcher._workers.jobs[0]()  # type: ignore[attr-defined]
        assert gate.log == []


class Later:
    """Workers that have not come to anything yet."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []

    def submit(self, job: Callable[[], None]) -> None:
        self.jobs.append(job)

    def close(self) -> bool:
        return True
