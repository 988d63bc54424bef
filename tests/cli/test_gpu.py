"""What is decided for a GPU before there is one."""

from __future__ import annotations

import pytest

from dvabatch_cli.gpu import batch_made_for


@pytest.mark.parametrize(
    ("favored", "max_batch", "made_for"),
    [([8, 1, 1], 32, 8), ([1, 1, 1], 64, 16), ([32, 8], 32, 32), ([16, 16], 8, 8), ([1], 1, 1), ([2], 3, 2)],
)
def test_all_engines_are_made_for_one_batch(favored: list[int], max_batch: int, made_for: int) -> None:
    assert batch_made_for(favored, max_batch) == made_for
