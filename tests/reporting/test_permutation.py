from __future__ import annotations

import numpy as np
import pytest

from dvabatch.reporting.bootstrap import FEWEST
from dvabatch.reporting.measured import IntArray
from dvabatch.reporting.permutation import FLIPS, _p, sign_flip_p
from tests.reporting.test_bootstrap import correlated


def run(seed: int, n: int = 600) -> IntArray:
    return correlated(n, seed)


@pytest.mark.parametrize("pairs", [1, 3])
def test_p_is_small_no_more_often_than_it_says(pairs: int) -> None:
    small = 0
    for seed in range(0, 200, 2):
        p = sign_flip_p([(run(10 * seed + each), run(10 * seed + each + 5)) for each in range(pairs)], seed)
        assert p is not None
        small += p < 0.05
    assert small <= 12


def test_it_sees_what_is_there_and_counts_every_pair() -> None:
    baseline = run(1)
    assert sign_flip_p([(baseline + 100, baseline)]) == 1 / (1 + FLIPS)
    noisy = [((run(seed) * 1.02).astype(np.int64), run(seed + 50)) for seed in range(30)]
    each = [sign_flip_p([pair]) for pair in noisy]
    assert sum(p is not None and p < 0.01 for p in each) < 15  # most are too short to show it
    assert sign_flip_p(noisy) == 1 / (1 + FLIPS)


def test_the_same_run_twice() -> None:
    values = run(2)
    assert sign_flip_p([(values, values)]) == 1.0


def test_few_blocks_are_counted_out_and_many_drawn() -> None:
    assert _p(np.array([3.0, 1.0]), 0) == 0.5  # 4 and -4, of 4, 2, -2 and -4
    assert _p(np.ones(5), 0) == 2 / 32
    counted, drawn = _p(np.arange(12.0) - 4, 0), _p(np.append(np.arange(12.0) - 4, 0.0), 0)
    assert drawn == pytest.approx(counted, abs=0.03)


def test_it_is_deterministic_and_does_not_care_who_is_called_new() -> None:
    mine, theirs = run(3), run(4)
    assert sign_flip_p([(mine, theirs)], 1) == sign_flip_p([(mine, theirs)], 1)
    assert sign_flip_p([(mine, theirs)], 1) == pytest.approx(sign_flip_p([(theirs, mine)], 1), abs=1e-9)


def test_what_cannot_be_tested() -> None:
    assert sign_flip_p([]) is None
    assert sign_flip_p([(run(1, FEWEST - 1), run(2, FEWEST - 1))]) is None
    nothing = np.zeros(30, np.int64)
    assert sign_flip_p([(nothing, nothing)]) is None
    with pytest.raises(ValueError, match="30 responses against 29"):
        sign_flip_p([(nothing, nothing[1:])])
