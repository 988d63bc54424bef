"""NORMAL, NORMAL_INPUT: wait until full or until the oldest has waited long enough, then go through in one launch."""

from __future__ import annotations

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal, NormalInput
from tests.batching.timeline import MS, flat, play

LIMITS = Limits(stages=3, max_batch=4, buffer_sets=4, executors_per_stage=4)
PROFILE = flat(3)  # 3 ms for the whole
LANES = Limits(stages=1, max_batch=4, buffer_sets=4, executors_per_stage=4, lanes=(8, 16))
TWO_LANES = flat(1, lanes={8: 1, 16: 2})


def test_a_full_batch_goes_at_once_through_all_stages() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(2, 10 * MS, 1)), [0, 1])
    assert line.ran() == [(1, 0, 0, 2, (0, 1))]
    assert line.done_ms == {0: 4, 1: 4}


def test_a_batch_that_is_not_full_goes_when_its_oldest_has_waited_long_enough() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 5 * MS, 1)), [0, 3])
    assert line.ran() == [(5, 0, 0, 2, (0, 1))]
    assert line.wakes_ms[0] == 5


def test_the_delay_counts_from_the_oldest_and_anew_for_the_next_batch() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 5 * MS, 1)), [0, 4, 6])
    assert line.ran() == [(5, 0, 0, 2, (0, 1)), (11, 1, 0, 2, (2,))]


def test_without_delay_whoever_waited_for_the_device_goes_together() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 0, 1)), [0, 1, 2])
    assert line.ran() == [(0, 0, 0, 2, (0,)), (3, 1, 0, 2, (1, 2))]


@pytest.mark.parametrize(("instances", "starts"), [(1, [0, 3, 6]), (2, [0, 1, 3]), (3, [0, 1, 2])])
def test_so_many_instances_run_at_once(instances: int, starts: list[float]) -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(1, 0, instances)), [0, 1, 2])
    assert [run.at_ms for run in line.launches] == starts


def test_no_batch_is_larger_than_its_maximum_and_the_maximum_is_reached() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 0, 1)), [0] * 9)
    assert [run.ids for run in line.launches] == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]


def test_normal_keeps_lanes_apart() -> None:
    line = play(LANES, TWO_LANES, Normal(FillOrWait(4, 0, 4)), [0, 0, 0], [8, 16, 3])
    assert [(run.lane, run.ids) for run in line.launches] == [(0, (0, 2)), (1, (1,))]


def test_a_full_lane_goes_before_one_whose_older_query_still_waits() -> None:
    line = play(LANES, TWO_LANES, Normal(FillOrWait(2, 9 * MS, 4)), [0, 1, 2], [16, 8, 8])
    assert [(run.at_ms, run.lane, run.ids) for run in line.launches] == [(2, 0, (1, 2)), (9, 1, (0,))]


def test_of_two_lanes_that_are_due_the_one_with_the_older_query_goes_first() -> None:
    line = play(LANES, TWO_LANES, Normal(FillOrWait(1, 0, 1)), [0, 0, 0], [8, 16, 8])
    assert [run.ids for run in line.launches] == [(0,), (1,), (2,)]


def test_one_queue_for_all_lengths_pads_to_the_longest_member() -> None:
    line = play(LANES, TWO_LANES, NormalInput(FillOrWait(3, 0, 1, mixed=True)), [0, 0, 0, 0, 0], [8, 16, 3, 2, 8])
    assert [(run.at_ms, run.lane, run.ids) for run in line.launches] == [(0, 1, (0, 1, 2)), (2, 0, (3, 4))]


def test_one_queue_counts_all_lengths_towards_the_full_batch() -> None:
    line = play(LANES, TWO_LANES, NormalInput(FillOrWait(2, 9 * MS, 1, mixed=True)), [0, 4], [16, 8])
    assert [(run.at_ms, run.ids) for run in line.launches] == [(4, (0, 1))]


def test_the_digest_tells_options_apart() -> None:
    policies: list[Normal | NormalInput] = [
        Normal(FillOrWait(2, 0, 1)),
        Normal(FillOrWait(4, 0, 1)),
        Normal(FillOrWait(2, 5, 1)),
    ]
    policies.append(NormalInput(FillOrWait(2, 0, 1)))
    assert len({policy.digest for policy in policies}) == 4
