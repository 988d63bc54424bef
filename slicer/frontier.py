"""What is alive between two operators, and thereby where a model may be cut.

Positions count data nodes: position p lies before the p-th of them. What a cut carries is what later nodes read
of earlier ones. Tensors that depend on shapes alone never cross: batches are regrouped between stages, so the later
stage computes them anew, from a carried tensor of the same shape where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from slicer.graph import Graph, Node
from slicer.probe import Kind, Tensor
from slicer.signature import UNKNOWN


@dataclass(frozen=True, slots=True)
class Cut:
    """The boundary before data node `position`.

    `carried` is what the rest of the model reads. `stand_ins` maps a tensor whose shape alone is needed to a carried
    one of equal shape. `alive_bytes_per_row` counts `carried` and the model's outputs that exist already.
    """

    position: int
    carried: frozenset[str]
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    alive_bytes_per_row: int = 0


@dataclass(frozen=True, slots=True)
class Frontier:
    """Every position of a model, from 0 to the number of data nodes, and which of them are legal cuts."""

    cuts: tuple[Cut, ...]
    legal: tuple[int, ...]


def frontier(graph: Graph, tensors: Mapping[str, Tensor]) -> Frontier:
    """One pass from the last node to the first."""
    data = graph.data_nodes
    born = dict.fromkeys(graph.inputs, -1)
    born.update((name, place) for place, node in enumerate(data) for name in node.writes)
    whole: set[str] = set()  # read for their values by what follows
    shapes: set[str] = set()  # read for their shapes
    found: list[Cut] = []
    for place in range(len(data), -1, -1):
        if place < len(data):
            node = data[place]
            whole.difference_update(node.writes)
            shapes.difference_update(node.writes)
            values, measured = _needs(graph, node)
            whole |= values
            shapes |= measured
        found.append(_cut(graph, tensors, place, whole, shapes, born))
    cuts = tuple(reversed(found))
    legal = tuple(cut.position for cut in cuts[1:-1] if all(tensors[name].kind is Kind.BATCH for name in cut.carried))
    return Frontier(cuts, legal)


def _needs(graph: Graph, node: Node) -> tuple[set[str], set[str]]:
    values = {name for name in node.reads if name not in graph.shape_only}
    measured: set[str] = set()
    for name in node.reads:
        if name in graph.shape_only:
            measured |= graph.measured(name)
    return values, measured


def _cut(
    graph: Graph,
    tensors: Mapping[str, Tensor],
    place: int,
    whole: Iterable[str],
    shapes: Iterable[str],
    born: Mapping[str, int],
) -> Cut:
    carried = set(whole)
    stand_ins: dict[str, str] = {}
    # In order of birth, so that the same file gives the same stand-ins.
    for name in sorted(set(shapes) - carried, key=lambda name: (born[name], name)):
        same = [other for other in carried if _same_shape(tensors[name], tensors[other])]
        if same:
            stand_ins[name] = min(same, key=lambda other: (born[other], other))
        else:
            carried.add(name)
    answered = {name for name in graph.outputs if 0 <= born.get(name, -1) < place}
    alive = sum(tensors[name].bytes_per_row for name in carried | answered)
    return Cut(place, frozenset(carried), stand_ins, alive)


def _same_shape(one: Tensor, other: Tensor) -> bool:
    """Equal for every request: same names and sizes, and no dimension that varies without a name."""
    return one.dims == other.dims and UNKNOWN not in one.dims and one.kind is other.kind is Kind.BATCH
