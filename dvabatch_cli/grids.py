"""The options of each policy that `dvabatch tune` tries: its own, changed over a grid, within what the engines can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from dvabatch.batching.limits import Limits
from dvabatch_cli.config.policies import AnyPolicy, AutoOptions, EntryOptions, MergeOptions

BATCHES = (1, 2, 4, 8, 16, 32)
DELAYS_US = (0, 250, 500, 1000, 2000, 4000)
INSTANCES = (1, 2, 4, 8)
MERGE_AGES_OF_WHOLE = (0.1, 0.25, 0.5, 1.0, 2.0, None)


def grid_of(options: AnyPolicy, limits: Limits) -> list[AnyPolicy]:
    """Every setting of this policy that is tried; whatever the grid does not name stays as it is.

    An AUTO has settings for every load already: it is tried as it is.
    """
    if isinstance(options, AutoOptions):
        return [options]
    changes = _merging(limits) if isinstance(options, MergeOptions) else _entering(options, limits)
    return [options.model_copy(update=dict(change)) for change in changes]


def sizes_up_to(most: int, sizes: Sequence[int] = BATCHES) -> list[int]:
    """The grid's batch sizes that exist, and the largest itself."""
    return sorted({min(size, most) for size in (*sizes, most)})


def _entering(options: AnyPolicy, limits: Limits) -> Iterator[Mapping[str, object]]:
    assert isinstance(options, EntryOptions)
    most = min(limits.executors_per_stage, limits.buffer_sets)
    counts = [count for count in INSTANCES if count <= most]
    for batch, delay_us, instances in product(sizes_up_to(limits.max_batch), DELAYS_US, counts):
        if batch > 1 or delay_us == 0:  # a batch of one waits for nobody
            yield {
                "max_batch_size": batch,
                "max_queue_delay_microseconds": delay_us,
                "max_queue_delay_of_whole": None,
                "instances": instances,
            }


def _merging(limits: Limits) -> Iterator[Mapping[str, object]]:
    stages = range(max(1, limits.stages))
    batches = sizes_up_to(limits.max_batch, (8, 32))
    for batch, merged, stage, age in product(batches, batches, stages, MERGE_AGES_OF_WHOLE):
        if merged >= batch:
            yield {
                "max_batch_size": batch,
                "max_allow_merge_batchsize": merged,
                "max_allow_merge_stage": stage,
                "max_allow_merge_microseconds": None,
                "max_allow_merge_of_whole": age,
            }
