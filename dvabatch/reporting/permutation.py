"""A permutation test for two runs of one schedule: does it matter which run an answer is of?

If two runs differ by noise alone, the names of the two may be swapped over any stretch of queries, which flips the sign of the
differences there. Neighbours depend on each other, so whole blocks of consecutive queries are flipped, each as long as the
differences remember (bootstrap.block_length). The p is the share of flips whose sum is at least as far from 0 as the real
one: exact where there are few blocks, drawn from a seed where there are many.

It says nothing of how much two runs of *one* build differ because the host was another: for that there are several runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from .bootstrap import FEWEST, Floats, block_length, fold
from .measured import IntArray

FLIPS: Final = 4000
_EXACT_BLOCKS: Final = 12
_DRAWS_AT_ONCE: Final = 1 << 18
_ROUNDING: Final = 1e-9  # sums in another order that should tie do


def sign_flip_p(pairs: Sequence[tuple[IntArray, IntArray]], seed: int = 0) -> float | None:
    """The two-sided p of "both runs answer alike", over one or several pairs of runs.

    Each pair is (values, baseline), entry i of both being the same query of their schedule; it counts by its differences over
    the mean of both. None if a pair has fewer than `FEWEST` queries, or all of it is 0.

    Raises:
        ValueError: the two of a pair are not of one length.
    """
    sums: list[Floats] = []
    for values, baseline in pairs:
        if len(values) != len(baseline):
            raise ValueError(
                f"got {len(values)} responses against {len(baseline)}, wanted one pair per query of the same schedule"
            )
        whole = float(values.sum(dtype=np.float64) + baseline.sum(dtype=np.float64)) / 2
        if len(values) < FEWEST or whole == 0:
            return None
        sums.append(_block_sums(values - baseline) / whole)
    return _p(np.concatenate(sums), seed) if sums else None


def _block_sums(differences: IntArray) -> Floats:
    """The sum of the differences in each block; what is left at the end belongs to the last one."""
    series, counts = fold(differences)
    length = min(block_length(series / counts), len(series))
    starts = np.arange(len(series) // length) * length
    sums: Floats = np.add.reduceat(series, starts)
    return sums


def _p(blocks: Floats, seed: int) -> float:
    real = abs(float(blocks.sum())) * (1 - _ROUNDING)
    if len(blocks) <= _EXACT_BLOCKS:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(blocks))))
        return float(np.mean(np.abs(signs @ blocks) >= real))
    generator = np.random.Generator(np.random.PCG64(seed))
    beyond = 0
    step = max(1, _DRAWS_AT_ONCE // len(blocks))
    for begin in range(0, FLIPS, step):
        drawn = generator.integers(0, 2, size=(min(step, FLIPS - begin), len(blocks)), dtype=np.int8)
        # A flip leaves the total less twice what is flipped.
        beyond += int(np.count_nonzero(np.abs(blocks.sum() - 2 * (drawn @ blocks)) >= real))
    return (1 + beyond) / (1 + FLIPS)
