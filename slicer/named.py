"""Cuts that the caller names, each by a tensor behind which it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from slicer.errors import SliceError
from slicer.frontier import Cut, Frontier
from slicer.graph import Graph
from slicer.probe import Kind, Tensor

_MOST_NAMED = 3


def named_cuts(graph: Graph, tensors: Mapping[str, Tensor], found: Frontier, names: Sequence[str]) -> list[Cut]:
    """The cut right behind the operator that makes each of these tensors, in the model's order.

    Raises:
        SliceError: no operator makes such a tensor, no stage may begin behind it, or two of them are one cut.
    """
    behind = {name: place + 1 for place, node in enumerate(graph.data_nodes) for name in node.writes}
    places: dict[int, str] = {}
    for name in names:
        if name in graph.shape_only:
            raise SliceError(
                f"cut_behind names {name!r}, which hangs on shapes alone and never crosses a cut: name another"
            )
        if name not in behind:
            near = ", ".join(repr(other) for other in get_close_matches(name, behind, _MOST_NAMED, 0.0))
            raise SliceError(
                f"cut_behind names {name!r}, which no operator of the folded model makes: nearest are {near}"
            )
        place = behind[name]
        if place not in found.legal:
            raise SliceError(
                f"cut_behind names {name!r}: {_why_not(tensors, found, place)}{_nearest(behind, found, place)}"
            )
        if place in places:
            raise SliceError(f"cut_behind names {places[place]!r} and {name!r}, which are one cut: name one of them")
        places[place] = name
    return [found.cuts[place] for place in sorted(places)]


def _why_not(tensors: Mapping[str, Tensor], found: Frontier, place: int) -> str:
    if place == len(found.cuts) - 1:
        return "nothing comes behind it"
    whole = sorted(name for name in found.cuts[place].carried if tensors[name].kind is not Kind.BATCH)
    return f"a cut there would carry {whole[0]!r}, which is not made of the rows of a batch"


def _nearest(behind: Mapping[str, int], found: Frontier, place: int) -> str:
    made = {at: name for name, at in behind.items()}
    near = sorted(found.legal, key=lambda legal: abs(legal - place))[:_MOST_NAMED]
    return (
        f"; the nearest cuts lie behind {', '.join(repr(made[at]) for at in sorted(near) if at in made)}"
        if near
        else ""
    )
