"""Random legal cuts: every node in one stage, and the chained stages are the model."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.extract import extract
from slicer.plan import Analysis
from slicer.samples import ceilings, rows
from slicer.sessions import Session


@pytest.mark.parametrize("name", ["chain", "skipping", "attention"])
def test_random_legal_cuts(analyses: dict[str, Analysis], name: str) -> None:
    found = analyses[name]
    graph, tensors = found.graph, found.probe.tensors
    whole = Session(graph.model.SerializeToString(), threads=1)

    @given(st.sets(st.sampled_from(found.frontier.legal)), st.sampled_from([1, 3, 8]), st.sampled_from([1, 7, 64]))
    @settings(deadline=None, max_examples=25, derandomize=True)
    def check(places: set[int], batch: int, length: int) -> None:
        ends = [found.frontier.cuts[place] for place in (0, *sorted(places), len(graph.data_nodes))]
        pieces = [extract(graph, tensors, begin, end) for begin, end in pairwise(ends)]
        data = {node.name for node in graph.data_nodes}
        placed = [node.name for piece in pieces for node in piece.model.graph.node if node.name in data]
        assert sorted(placed) == sorted(data)  # shape nodes may repeat, data nodes may not
        table = rows(found.inputs, ceilings(graph), range(batch), {"sequence": length}, seed=3)
        wanted = whole.run(table)
        for piece in pieces:
            session = Session(piece.model.SerializeToString(), threads=1)
            table.update(session.run({read: table[read] for read in piece.inputs}))
        for output in graph.outputs:
            np.testing.assert_allclose(table[output], wanted[output], rtol=1e-5, atol=1e-5)

    check()


def test_one_stage_is_the_folded_model(analyses: dict[str, Analysis]) -> None:
    for found in analyses.values():
        cuts = found.frontier.cuts
        piece = extract(found.graph, found.probe.tensors, cuts[0], cuts[-1])
        assert [node.name for node in piece.model.graph.node] == [node.name for node in found.graph.nodes]
        assert set(piece.outputs) == set(found.graph.outputs)
        assert piece.inputs == found.graph.inputs
