"""Streams of one seed are independent, and each is what it was."""

import numpy as np

from dvabatch.loadgen.streams import Stream, generator


def test_streams_differ_by_seed_purpose_and_number() -> None:
    keys = [(seed, stream) for seed in (0, 1) for stream in Stream]
    drawn = [generator(seed, stream).random() for seed, stream in keys]
    drawn += [generator(0, Stream.PAYLOADS, number).random() for number in (0, 1)]
    assert len(set(drawn)) == len(keys) + 2


def test_a_stream_is_that_of_a_spawned_seed_sequence() -> None:
    spawned = np.random.SeedSequence(7).spawn(len(Stream))
    for stream in Stream:
        assert generator(7, stream).random() == np.random.default_rng(spawned[stream]).random()
