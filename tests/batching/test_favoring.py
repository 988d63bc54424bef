"""OPERATOR_DVA and HYBRID_DVA: each stage at the batch size that it favours."""

from __future__ import annotations

import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring, even_parts
from dvabatch.batching.policies.policy import HybridDva, OperatorDva
from tests.batching.timeline import Timeline, flat, play


def operator(sizes: tuple[int, ...], arrivals_ms: list[float], *, executors: int = 3, most: int = 6) -> Timeline:
    limits = Limits(len(sizes), most, 4, executors)
    policy = OperatorDva(FillOrWait(most, 0, 4), Favoring(sizes))
    return play(limits, flat(len(sizes), most=most), policy, arrivals_ms)


@pytest.mark.parametrize(
    ("size", "most", "parts"),
    [(6, 2, (2, 2, 2)), (7, 3, (3, 2, 2)), (5, 4, (3, 2)), (4, 4, (4,)), (5, 1, (1,) * 5), (9, 8, (5, 4))],
)
def test_the_fewest_parts_as_even_as_can_be(size: int, most: int, parts: tuple[int, ...]) -> None:
    assert even_parts(size, most) == parts


def test_a_batch_is_split_before_the_first_stage_in_as_many_parts_as_it_takes() -> None:
    line = operator((2, 6), [0] * 6)
    assert [(run.at_ms, run.first, run.ids) for run in line.launches[:3]] == [
        (0, 0, (0, 1)),
        (0, 0, (2, 3)),
        (0, 0, (4, 5)),
    ]
    assert line.places[:3] == [(0, 0), (0, 2), (0, 4)]


def test_parts_gather_before_a_stage_that_favours_more() -> None:
    line = operator((2, 6), [0] * 6)
    assert [(run.at_ms, run.first, run.ids) for run in line.launches[3:]] == [(1, 1, (0, 1, 2, 3, 4, 5))]
    assert line.copies == []
    assert line.operations["merge"] == 2


def test_a_batch_is_split_before_the_last_stage_and_its_parts_leave_on_their_own() -> None:
    line = operator((6, 1), [0] * 6, executors=2)
    assert [(run.at_ms, run.first, run.ids) for run in line.launches[1:]] == [(1 + i // 2, 1, (i,)) for i in range(6)]
    assert line.done_ms == {i: 2 + i // 2 for i in range(6)}


def test_a_batch_is_split_in_the_middle_and_again() -> None:
    line = operator((6, 3, 1, 1), [0] * 6, executors=6)
    sizes = [(run.first, run.last, len(run.ids)) for run in line.launches]
    assert sizes == [(0, 0, 6), (1, 1, 3), (1, 1, 3)] + [(2, 3, 1)] * 6  # no stop where nothing changes


def test_a_batch_that_every_stage_favours_goes_through_in_one_launch() -> None:
    assert operator((6, 6, 6), [0] * 6).ran() == [(0, 0, 0, 2, (0, 1, 2, 3, 4, 5))]


def test_a_part_waits_for_the_one_right_behind_it() -> None:
    line = operator((2, 4), [0] * 4, executors=1, most=4)
    assert [(run.at_ms, run.first, run.ids) for run in line.launches] == [
        (0, 0, (0, 1)),
        (1, 0, (2, 3)),
        (2, 1, (0, 1, 2, 3)),
    ]
    assert line.operations["hold"] == 1


def test_parts_that_would_be_too_many_together_stay_apart() -> None:
    line = operator((2, 3), [0] * 4, executors=2, most=4)
    assert [len(run.ids) for run in line.launches if run.first == 1] == [2, 2]
    assert line.operations["merge"] == 0


def test_parts_of_different_sets_gather_by_a_copy() -> None:
    limits = Limits(2, 3, 4, 6)
    line = play(limits, flat(2, most=3), OperatorDva(FillOrWait(3, 0, 4), Favoring((1, 2))), [0] * 6)
    gathered = [(run.at_ms, sorted(run.ids)) for run in line.launches if run.first == 1]
    assert gathered == [(1, [0, 1]), (1, [2, 3]), (1, [4, 5])]
    assert {(copy.stage, copy.source.buffer_set, copy.target.rows) for copy in line.copies} >= {(1, 1, 1)}


def test_hybrid_catches_up_first_and_meets_the_next_stage_at_its_size() -> None:
    limits = Limits(3, 4, 4, 4)
    policy = HybridDva(CatchingUp(4, 4, 1, None), Favoring((4, 2, 4)))
    line = play(limits, flat(3, most=4), policy, [0, 0.5, 0.5, 0.5])
    assert [(run.at_ms, run.first, run.ids) for run in line.launches] == [
        (0, 0, (0,)),
        (0.5, 0, (1, 2, 3)),
        (1.5, 1, (0, 1)),  # merged at boundary 1, then divided for stage 1
        (1.5, 1, (2, 3)),
        (2.5, 2, (0, 1, 2, 3)),  # and together again
    ]
    assert line.operations == {"new": 1, "stretch": 1, "merge": 2, "split": 1, "hold": 1}


def test_hybrid_with_sizes_that_never_bind_is_load_dva() -> None:
    limits = Limits(3, 4, 4, 4)
    line = play(limits, flat(3, most=4), HybridDva(CatchingUp(4, 4, 1, None), Favoring((4, 4, 4))), [0, 0.5])
    assert line.ran() == [(0, 0, 0, 0, (0,)), (0.5, 1, 0, 0, (1,)), (1.5, 0, 1, 2, (0, 1))]
