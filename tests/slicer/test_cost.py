"""Candidates come from shapes alone."""

import pytest

from slicer.cost import candidates, estimate_ns, estimates_ns
from slicer.plan import Analysis


@pytest.mark.parametrize("name", ["chain", "skipping", "attention"])
def test_candidates_are_legal_and_always_suffice(analyses: dict[str, Analysis], name: str) -> None:
    found = analyses[name]
    legal = found.frontier.legal
    for stages in range(2, len(legal) + 2):
        picked = candidates(found.graph, found.probe.tensors, found.frontier, stages)
        assert set(picked) <= set(legal)
        assert list(picked) == sorted(set(picked))
        assert len(picked) >= stages - 1


def test_no_candidate_parts_an_operator_from_its_activation(analyses: dict[str, Analysis]) -> None:
    found = analyses["chain"]
    nodes, legal = found.graph.data_nodes, found.frontier.legal
    before = [place for place in legal if nodes[place].op == "Relu" and place + 1 in legal]
    picked = candidates(found.graph, found.probe.tensors, found.frontier, 2)
    assert before
    assert not set(before) & set(picked)
    # Where there are not enough others, they serve.
    assert set(candidates(found.graph, found.probe.tensors, found.frontier, len(legal) + 1)) == set(legal)


def test_segments_are_estimated_at_the_sum_of_their_nodes(analyses: dict[str, Analysis]) -> None:
    found = analyses["chain"]
    graph, tensors, cuts = found.graph, found.probe.tensors, found.frontier.cuts
    nodes = [estimate_ns(graph, tensors, node) for node in graph.data_nodes]
    assert estimates_ns(graph, tensors, [cuts[0], cuts[3], cuts[-1]]) == pytest.approx([sum(nodes[:3]), sum(nodes[3:])])
    assert nodes[0] == pytest.approx(nodes[2])  # alike convolutions
    assert nodes[0] > nodes[1] > 0  # the one before a Relu, and the Relu


def test_weights_count_where_they_are_read_and_tables_do_not(tmp_path: object, analyses: dict[str, Analysis]) -> None:
    found = analyses["attention"]
    graph, tensors = found.graph, found.probe.tensors
    by_name = {node.name: node for node in graph.nodes}
    gather, dense = by_name["embedded"], by_name["query0"]
    moved = tensors["ids"].bytes_per_row + tensors["embedded"].bytes_per_row
    assert estimate_ns(graph, tensors, gather) == pytest.approx(moved / 8)
    width = 16
    positions = tensors["embedded"].shape[1]
    activations, weights, flops = 2 * positions * width * 4, width * width * 4, 2 * positions * width * width
    assert estimate_ns(graph, tensors, dense) == pytest.approx((activations + 0.75 * weights) / 8 + flops / 40)
