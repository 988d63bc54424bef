"""Payloads that come again are known by the mappings they are, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest

from dvabatch.runtime import device_payloads
from dvabatch.runtime.device_payloads import KnownPayloads
from dvabatch.runtime.padding import PayloadError
from dvabatch.runtime.shapes import RowSpec
from engines.base import Array

ROWS = {"mask": RowSpec(np.dtype("int32"), (4,)), "words": RowSpec(np.dtype("int32"), (4,))}


def frozen(*values: int, dtype: str = "int64") -> Array:
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array


def known(pinned: Mapping[int, int] | None = None, pads: Mapping[str, float] | None = None) -> KnownPayloads:
    """`pinned` gives addresses by id."""
    return KnownPayloads(ROWS, lambda array: (pinned or {}).get(id(array)), pads or {"words": 9})


def rows_of(payloads: KnownPayloads, payload: Mapping[str, Array]) -> dict[str, list[int]]:
    places = payloads.places(payload)
    assert places is not None
    return {name: payloads.kept(name)[~place].tolist() for name, place in zip(ROWS, places, strict=True) if place < 0}


def fixed(mask: Array, words: Array) -> Mapping[str, Array]:
    """As a pool gives it: nobody can change it."""
    return MappingProxyType({"mask": mask, "words": words})


def test_a_payload_that_comes_again_is_where_it_was_filled_up_for_each_lane() -> None:
    lane, payload = known(), fixed(frozen(1, 1), frozen(5, 6))
    places = lane.places(payload)
    assert rows_of(lane, payload) == {"mask": [1, 1, 0, 0], "words": [5, 6, 9, 9]}
    assert lane.places(payload) is places


def test_the_same_mask_with_other_words_is_another_payload() -> None:
    lane, mask = known(), frozen(1, 1)
    first, other = fixed(mask, frozen(5, 6)), fixed(mask, frozen(7, 8))
    assert rows_of(lane, first)["words"] == [5, 6, 9, 9]
    assert rows_of(lane, other)["words"] == [7, 8, 9, 9]
    assert rows_of(lane, first)["words"] == [5, 6, 9, 9]


def test_no_mapping_is_taken_for_one_that_had_its_id_or_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_payloads, "_MOST", 100)
    lane, mask = known(), frozen(1)
    first = fixed(mask, frozen(-1))
    for value in range(2_000):  # each is gone before the next one comes, but for what keeps it
        lane.make_room(2)
        payload = fixed(mask, frozen(value))
        assert rows_of(lane, payload)["words"] == rows_of(lane, payload)["words"] == [value, 9, 9, 9]
        assert rows_of(lane, first)["words"] == [-1, 9, 9, 9]


def test_page_locked_inputs_are_where_they_lie_and_need_not_be_unchangeable() -> None:
    mask, words = np.ones(4, "int32"), frozen(5, 6)
    lane = known({id(mask): 4096})
    assert lane.places(fixed(mask, words)) == [4096, ~0]
    short = np.ones(3, "int32")
    assert known({id(short): 4096}).places(fixed(short, words)) is None  # no row as it lies there


def test_what_may_change_or_is_large_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    words = frozen(5, 6)
    assert known().places(fixed(frozen(1, 1), words)) is not None
    assert known().places({"mask": frozen(1, 1), "words": words}) is None, "a mapping of which something else may come"
    assert known().places(fixed(np.ones(2, "int64"), words)) is None
    monkeypatch.setattr(device_payloads, "_MOST_BYTES", 15)
    assert known().places(fixed(frozen(1, 1), words)) is None


def test_what_was_said_holds_until_room_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_payloads, "_MOST", 3)
    lane = known()
    payloads = [fixed(frozen(1), frozen(value)) for value in range(5)]
    said = [lane.places(payload) for payload in payloads]
    assert [places is None for places in said] == [False] * 3 + [True] * 2
    assert [rows_of(lane, payload)["words"][0] for payload in payloads[:3]] == [0, 1, 2]
    lane.make_room(0)
    assert lane.places(payloads[4]) is None
    lane.make_room(1)
    assert rows_of(lane, payloads[4])["words"][0] == 4


def test_one_that_does_not_fit_is_refused() -> None:
    with pytest.raises(PayloadError, match="'words' has shape"):
        known().places(fixed(frozen(1), frozen(1, 2, 3, 4, 5)))
