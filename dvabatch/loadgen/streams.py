"""Independent random streams of one seed, so that changing one part of a load leaves the others as they were."""

import enum

import numpy as np


class Stream(enum.IntEnum):
    """What a stream is for. The numbers are part of every schedule's identity: add, never renumber."""

    ARRIVALS = 0
    DWELLS = 1
    LENGTHS = 2
    PAYLOADS = 3


def check_seed(seed: int) -> None:
    """Refuse what is not a whole number of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"the seed must be a whole number of at least 0, got {seed!r}")


def generator(seed: int, stream: Stream, *more: int) -> np.random.Generator:
    """The generator of `stream` under `seed` (a whole number of at least 0); `more` tells several of one kind apart."""
    check_seed(seed)
    # Same as SeedSequence(seed).spawn(...)[stream], without depending on how many are spawned.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(stream), *more))))
