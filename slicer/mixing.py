"""What a probe says of a model's answers: on which axis their rows lie, and which node made them depend on each other."""

from __future__ import annotations

from collections.abc import Mapping

from slicer.errors import SliceError
from slicer.graph import Graph
from slicer.probe import Kind, Probe, Tensor, loses_rows

_SIZING = frozenset({"NonZero", "Unique", "Compress", "NonMaxSuppression"})  # two requests may get one size by chance


def output_axes(graph: Graph, found: Probe) -> dict[str, int]:
    """The outputs whose rows are apart on another axis than the first, each with its axis."""
    axes = {name: found.tensors[name].axis for name in graph.outputs if name in found.tensors}
    return {name: axis for name, axis in axes.items() if axis is not None}


def refuse_mixing(graph: Graph, tensors: Mapping[str, Tensor]) -> None:
    """Every output must carry the batch on axis 0: SliceError names the first node at which one of them loses it."""
    bad = [name for name in graph.outputs if name not in tensors or tensors[name].kind is not Kind.BATCH]
    if not bad:
        return
    if bad[0] in graph.constants or tensors[bad[0]].kind is Kind.SHAPE:
        raise SliceError(f"output {bad[0]!r} does not depend on the request's data: drop it from the model's outputs")
    behind: set[int] = set()
    stack = [bad[0]]
    while stack:
        node = graph.writer.get(stack.pop())
        if node is not None and node.index not in behind:
            behind.add(node.index)
            stack.extend(node.reads)
    for node in graph.nodes:
        if node.index not in behind or not loses_rows(graph, node, tensors):
            continue
        sized = next((name for name in node.writes if tensors[name].kind is Kind.SIZED or node.op in _SIZING), None)
        if sized is not None:
            raise SliceError(
                f"{node} writes {sized!r} in a size that depends on the data, so output {bad[0]!r} cannot be batched; "
                "wanted sizes that depend on shapes alone: leave that part out of the model, and run it afterwards"
            )
        raise SliceError(
            f"{node} makes the rows of a batch depend on each other, so output {bad[0]!r} cannot be batched; "
            "wanted operators that keep the rows on axis 0 apart: remove it, or export the model for inference"
        )
    raise SliceError(
        f"output {bad[0]!r}, written by {graph.writer[bad[0]]}, does not have one row per request in front: "
        "export the model with its batch on axis 0 of every input and output"
    )
