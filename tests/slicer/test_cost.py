"""Candidates come from shapes alone; measured times lose what cutting added."""

import pytest

from slicer.cost import batch_sizes, candidates, unburden
from slicer.plan import Analysis


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8)), (33, (1, 2, 4, 8, 16, 32, 33))]
)
def test_batch_sizes(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


@pytest.mark.parametrize("name", ["chain", "skipping", "attention"])
def test_candidates_are_legal_and_always_suffice(analyses: dict[str, Analysis], name: str) -> None:
    found = analyses[name]
    legal = found.frontier.legal
    for stages in range(2, len(legal) + 2):
        picked = candidates(found.graph, found.probe.tensors, found.frontier, stages)
        assert set(picked) <= set(legal)
        assert list(picked) == sorted(set(picked))
        assert len(picked) >= stages - 1


def test_the_excess_is_shared_out_by_bytes() -> None:
    # 4 ms too many at batch 2 over 40 bytes at borders: 0.05 ms a byte and row
    left = unburden([{1: 5.0, 2: 10.0}, {1: 7.0, 2: 14.0}, {1: 5.0, 2: 10.0}], [10, 10], 2, 30.0)
    assert [part[2] for part in left] == pytest.approx([9.0, 12.0, 9.0])
    assert [part[1] for part in left] == pytest.approx([4.5, 6.0, 4.5])


def test_segments_faster_than_the_whole_stay_and_none_falls_below_half() -> None:
    assert unburden([{1: 1.0}, {1: 1.0}], [10], 1, 3.0) == [{1: 1.0}, {1: 1.0}]
    assert unburden([{1: 1.0}, {1: 9.0}], [10], 1, 1.0) == [{1: 0.5}, {1: 4.5}]
