"""What is decided for a GPU before there is one."""

from __future__ import annotations

import pytest

from dvabatch_cli.gpu import batch_made_for, usual_lengths


@pytest.mark.parametrize(
    ("favored", "max_batch", "made_for"),
    [([8, 1, 1], 32, 8), ([1, 1, 1], 64, 16), ([32, 8], 32, 32), ([16, 16], 8, 8), ([1], 1, 1), ([2], 3, 2)],
)
def test_all_engines_are_made_for_one_batch(favored: list[int], max_batch: int, made_for: int) -> None:
    assert batch_made_for(favored, max_batch) == made_for


def test_a_usual_query_comes_by_its_own_lane_and_needs_padding() -> None:
    assert usual_lengths((32, 64, 128)) == (16, 48, 96)
    assert usual_lengths((8, 9)) == (4, 9), "none is shorter"
    assert usual_lengths((None,)) == (None,)
