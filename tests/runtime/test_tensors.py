"""The tensor table: rows are views, lanes share memory, and a copy moves what is alive and nothing else."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.batching.commands import Copy
from dvabatch.batching.place import Place
from dvabatch.runtime.shapes import Layout, RowSpec
from dvabatch.runtime.tensors import TensorTable
from tests.runtime.rig import bytes_across

FLOATS, WHOLE = np.dtype(np.float32), np.dtype(np.int64)
MAX_BATCH = 8
# "x" goes in, "early" is answered by stage 0, "skip" is read by stage 2 only, "done" is dead after stage 1.
LAYOUT = Layout(
    rows=tuple(
        {
            "x": RowSpec(FLOATS, (length, 3)),
            "early": RowSpec(FLOATS, (2,)),
            "skip": RowSpec(FLOATS, (length,)),
            "done": RowSpec(FLOATS, (4,)),
            "y": RowSpec(WHOLE, (length,)),
        }
        for length in (4, 16)
    ),
    reads=(("x",), ("done",), ("skip", "y")),
    writes=(("early", "skip", "done"), ("y",), ("last",)),
    inputs=("x",),
    outputs=("early",),
    alive=(("x",), ("done", "early", "skip"), ("early", "skip", "y")),
)
NAMES = tuple(LAYOUT.rows[0])
POISON = b"\xff"

places = st.tuples(st.integers(0, 1), st.integers(0, MAX_BATCH - 1), st.integers(1, MAX_BATCH)).map(
    lambda parts: Place(parts[0], parts[1], min(parts[2], MAX_BATCH - parts[1]))
)


def table() -> TensorTable:
    return TensorTable(LAYOUT, 2, MAX_BATCH, poison=True)


@given(place=places, lane=st.integers(0, 1), name=st.sampled_from(NAMES))
def test_rows_are_views_at_their_place(place: Place, lane: int, name: str) -> None:
    memory = table()
    everything = memory.rows(Place(place.buffer_set, 0, MAX_BATCH), lane, (name,))[name]
    rows = memory.rows(place, lane, (name,))[name]
    spec = LAYOUT.rows[lane][name]
    assert (rows.dtype, rows.shape) == (spec.dtype, (place.rows, *spec.shape))
    assert rows.flags.c_contiguous
    rows[...] = 7
    assert (everything[place.first_row : place.end_row] == 7).all()
    others = np.delete(everything, slice(place.first_row, place.end_row), axis=0)
    assert others.tobytes() == POISON * others.nbytes


def test_fresh_memory_is_poison_in_every_float() -> None:
    rows = table().rows(Place(0, 0, MAX_BATCH), 1, ("x", "early"))
    assert all(np.isnan(values).all() for values in rows.values())


def test_lanes_share_a_sets_memory_and_sets_share_none() -> None:
    memory = table()
    short, long = (memory.rows(Place(0, 0, MAX_BATCH), lane, NAMES) for lane in (0, 1))
    other = memory.rows(Place(1, 0, MAX_BATCH), 0, NAMES)
    for name in NAMES:
        assert np.shares_memory(short[name], long[name])
        assert not np.shares_memory(short[name], other[name])


@given(source=places, target=places, lane=st.integers(0, 1), stage=st.integers(0, 2), rows=st.integers(1, MAX_BATCH))
def test_a_copy_moves_what_is_alive_and_nothing_else(
    source: Place, target: Place, lane: int, stage: int, rows: int
) -> None:
    rows = min(rows, source.rows, target.rows)
    source, target = Place(0, source.first_row, rows), Place(1, target.first_row, rows)
    memory = table()
    for number, name in enumerate(NAMES):
        memory.rows(source, lane, (name,))[name][...] = number + 1
    moved = memory.copy(Copy(source, target, stage, lane))
    alive = LAYOUT.alive[stage]
    assert moved == rows * bytes_across(LAYOUT, stage, lane)
    for number, name in enumerate(NAMES):
        everything = memory.rows(Place(1, 0, MAX_BATCH), lane, (name,))[name]
        if name in alive:
            assert (everything[target.first_row : target.end_row] == number + 1).all()
            everything = np.delete(everything, slice(target.first_row, target.end_row), axis=0)
        assert everything.tobytes() == POISON * everything.nbytes
        assert (memory.rows(source, lane, (name,))[name] == number + 1).all()


def test_a_copy_within_a_set_closes_up() -> None:
    memory = table()
    memory.rows(Place(0, 5, 2), 0, ("y",))["y"][...] = 9
    memory.rows(Place(0, 5, 2), 0, ("early", "skip"))
    memory.copy(Copy(Place(0, 5, 2), Place(0, 1, 2), 2, 0))
    assert (memory.rows(Place(0, 1, 2), 0, ("y",))["y"] == 9).all()


class SlowToOpen(TensorTable):
    """Stops while a set is opened, so that others come meanwhile."""

    opening = threading.Event()
    go_on = threading.Event()

    def _bytes_of(self, name: str) -> int:
        self.opening.set()
        self.go_on.wait(0.2)
        return super()._bytes_of(name)


@pytest.mark.parametrize("lane", [0, 1])
def test_two_threads_that_open_a_set_at_once_get_the_same_memory(lane: int) -> None:
    memory = SlowToOpen(LAYOUT, 1, MAX_BATCH)
    memory.opening.clear()
    got = {}

    def open_set(who: str, in_lane: int) -> None:
        got[who] = memory.rows(Place(0, 0, MAX_BATCH), in_lane, NAMES)

    first = threading.Thread(target=open_set, args=("first", 0))
    first.start()
    assert memory.opening.wait(30)
    second = threading.Thread(target=open_set, args=("second", lane))
    second.start()
    first.join(30)
    second.join(30)
    assert all(np.shares_memory(got["first"][name], got["second"][name]) for name in NAMES)
