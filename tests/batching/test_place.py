"""Rows and buffer sets: one owner each, and back only with the last tenant."""

from __future__ import annotations

import pytest

from dvabatch.batching.errors import LawError
from dvabatch.batching.place import BufferSets, Place


@pytest.mark.parametrize(
    ("one", "other", "adjoin"),
    [
        (Place(0, 0, 2), Place(0, 2, 1), True),
        (Place(0, 0, 2), Place(0, 3, 1), False),
        (Place(0, 0, 2), Place(1, 2, 1), False),
        (Place(0, 2, 1), Place(0, 0, 2), False),  # in front is not behind
    ],
)
def test_adjoining_means_right_behind_in_the_same_set(one: Place, other: Place, adjoin: bool) -> None:
    assert one.adjoins(other) is adjoin


def test_the_lowest_free_set_goes_first_from_row_0() -> None:
    sets = BufferSets(3, 4)
    assert [sets.take(i, 2) for i in range(3)] == [Place(0, 0, 2), Place(1, 0, 2), Place(2, 0, 2)]
    sets.vacate(2, 2)
    sets.vacate(0, 0)
    assert sets.take(9, 1) == Place(0, 0, 1)
    assert (sets.free, sets.in_use) == (1, 2)


def test_no_set_can_be_taken_when_none_is_free() -> None:
    sets = BufferSets(1, 4)
    sets.take(0, 1)
    with pytest.raises(LawError, match="none is free"):
        sets.take(1, 1)


@pytest.mark.parametrize("place", [Place(0, 1, 1), Place(0, 0, 3), Place(0, 1, 3)])
def test_rows_of_another_are_refused(place: Place) -> None:
    sets = BufferSets(1, 4)
    sets.take(0, 2)
    with pytest.raises(LawError, match=r"batch 1 overlaps .* batch 0"):
        sets.claim(1, place)


def test_the_last_row_can_be_claimed_and_no_row_behind_it() -> None:
    sets = BufferSets(1, 4)
    sets.take(0, 2)
    assert sets.claim(1, Place(0, 2, 2)).end_row == 4
    with pytest.raises(LawError, match="4 rows"):
        BufferSets(1, 4).claim(0, Place(0, 2, 3))


def test_a_tenant_may_grow_over_its_own_rows() -> None:
    sets = BufferSets(1, 4)
    sets.take(0, 2)
    sets.claim(0, Place(0, 0, 4))
    assert sets.tenants(0) == {0: Place(0, 0, 4)}


def test_a_set_returns_with_its_last_tenant_only() -> None:
    sets = BufferSets(1, 4)
    sets.take(0, 2)
    sets.claim(1, Place(0, 2, 1))
    sets.vacate(0, 0)
    assert (sets.free, sets.in_use) == (0, 1)
    sets.vacate(1, 0)
    assert (sets.free, sets.in_use) == (1, 0)


def test_neighbours_that_join_are_one_tenant() -> None:
    sets = BufferSets(1, 4)
    sets.take(0, 2)
    sets.claim(1, Place(0, 2, 1))
    assert sets.join(0, 1, Place(0, 0, 3)) == Place(0, 0, 3)
    assert sets.tenants(0) == {0: Place(0, 0, 3)}
    sets.vacate(0, 0)
    assert sets.free == 1


def test_a_lost_set_never_returns() -> None:
    sets = BufferSets(2, 4)
    sets.take(0, 2)
    sets.claim(1, Place(0, 2, 1))
    sets.lose(0)
    sets.vacate(1, 0)
    assert (sets.free, sets.in_use, sets.exhausted) == (1, 0, False)
    sets.take(2, 1)
    sets.lose(1)
    assert sets.exhausted


def test_room_ends_at_the_next_tenant_or_at_the_end_of_the_set() -> None:
    sets = BufferSets(2, 6)
    first = sets.take(0, 1)
    assert sets.room_behind(first) == 5
    sets.claim(1, Place(0, 4, 1))
    assert sets.room_behind(first) == 3
    assert sets.room_behind(Place(0, 4, 1)) == 1
    sets.claim(2, Place(0, 1, 3))
    assert sets.room_behind(first) == 0
    assert sets.room_behind(Place(1, 0, 6)) == 0


def test_parts_take_over_the_rows_of_what_they_were() -> None:
    sets = BufferSets(1, 6)
    sets.take(0, 4)
    sets.claim(1, Place(0, 4, 2))
    sets.divide(0, 0, {2: Place(0, 0, 3), 3: Place(0, 3, 1)})
    assert sets.tenants(0) == {1: Place(0, 4, 2), 2: Place(0, 0, 3), 3: Place(0, 3, 1)}
    assert (
        sets.right_behind(Place(0, 0, 3)),
        sets.right_behind(Place(0, 3, 1)),
        sets.right_behind(Place(0, 4, 2)),
    ) == (
        3,
        1,
        None,
    )
