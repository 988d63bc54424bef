"""Segments: which batch sizes are timed, and that measured times lose what cutting added."""

import pytest

from slicer import segments
from slicer.options import SliceOptions
from slicer.plan import Analysis, _row
from slicer.samples import Values
from slicer.segments import segment_sizes, time_segments, unburden
from tests.slicer.clock import Clock, session_on


def test_a_row_that_takes_long_has_its_largest_sizes_left_out() -> None:
    assert segment_sizes(8, 0.01) == (1, 2, 4, 8)
    assert segment_sizes(32, 0.01) == (1, 2, 4, 8)
    assert segment_sizes(8, 0.2) == (1, 2, 4)
    assert segment_sizes(8, 100.0) == (1, 2)  # what a batch gains is seen in any case
    assert segment_sizes(1, 100.0) == (1,)


def test_the_excess_is_shared_out_by_bytes() -> None:
    # 4 ms too many at batch 2 over 40 bytes at borders: 0.05 ms a byte and row
    left = unburden([{1: 5.0, 2: 10.0}, {1: 7.0, 2: 14.0}, {1: 5.0, 2: 10.0}], [10, 10], 2, 4.0)
    assert [part[2] for part in left] == pytest.approx([9.0, 12.0, 9.0])
    assert [part[1] for part in left] == pytest.approx([4.5, 6.0, 4.5])


def test_segments_faster_than_the_whole_stay_and_none_falls_below_half() -> None:
    assert unburden([{1: 1.0}, {1: 1.0}], [10], 1, -1.0) == [{1: 1.0}, {1: 1.0}]
    assert unburden([{1: 1.0}, {1: 9.0}], [10], 1, 9.0) == [{1: 0.5}, {1: 4.5}]


def test_segments_are_timed_in_order(analyses: dict[str, Analysis], monkeypatch: pytest.MonkeyPatch) -> None:
    found = analyses["skipping"]
    clock = Clock()
    monkeypatch.setattr(segments, "Session", session_on(clock, lambda node: 2.0 if node.op_type == "Conv" else 1.0))
    cuts = [found.frontier.cuts[place] for place in (0, 2, 6, len(found.graph.data_nodes))]
    said: list[str] = []
    row = _row(found, SliceOptions(stages=2))
    times = time_segments(found.graph, found.probe.tensors, cuts, row, 2, 1, said.append, clock)
    wanted = []
    for begin, end in ((0, 2), (2, 6), (6, len(found.graph.data_nodes))):
        nodes = found.graph.data_nodes[begin:end]
        wanted.append(sum(2e3 if node.op == "Conv" else 1e3 for node in nodes))
    assert [part[1] for part in times.latencies_ms] == pytest.approx(wanted)
    assert [part[2] for part in times.latencies_ms] == pytest.approx([2 * part for part in wanted])
    assert times.noise == pytest.approx(0.0)
    assert (times.tax.run_ms, times.tax.byte_ms) == (pytest.approx(0.0), pytest.approx(0.0))
    assert "timed 3 segments at batch 1, 2" in said[0]


def test_what_a_session_costs_each_time_is_tax(analyses: dict[str, Analysis], monkeypatch: pytest.MonkeyPatch) -> None:
    found = analyses["chain"]
    clock = Clock()
    nodes = len(found.graph.data_nodes)

    class Costly(session_on(clock, lambda _: 1.0)):  # type: ignore[misc]
        def run(self, feeds: object) -> Values:
            clock.spend(0.25)
            return super().run(feeds)  # type: ignore[no-any-return]

    monkeypatch.setattr(segments, "Session", Costly)
    cuts = [found.frontier.cuts[place] for place in (0, 2, 4, nodes)]
    times = time_segments(
        found.graph, found.probe.tensors, cuts, _row(found, SliceOptions(stages=2)), 4, 1, lambda _: None, clock
    )
    assert times.tax.run_ms == pytest.approx(250.0)
    assert times.tax.byte_ms == pytest.approx(0.0)
    for part, count in zip(times.untaxed_ms, (2, 2, nodes - 4), strict=True):
        assert part == pytest.approx({size: 1e3 * count * size for size in (1, 2, 4)})
