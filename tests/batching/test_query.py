"""A query."""

from __future__ import annotations

import pytest

from dvabatch.batching.query import Query


@pytest.mark.parametrize("length", [0, -3])
def test_a_length_is_positive_or_none(length: int) -> None:
    with pytest.raises(ValueError, match=f"query 5 has length {length}"):
        Query(5, 0, length)
    assert Query(5, 0, 1).length == 1
    assert Query(5, 0).length is None
