"""Seeded requests for a model: rows that differ, and sizes for the dimensions that are free."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from slicer.errors import SliceError
from slicer.graph import Graph
from slicer.signature import BATCH, Input, free_dimensions

Array: TypeAlias = np.ndarray[Any, Any]
Values: TypeAlias = dict[str, Array]

_CARRIES_INDICES = frozenset({"Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Flatten"})


def free_sizes(inputs: tuple[Input, ...], variant: int) -> dict[str, int]:
    """A size for each free dimension. Variants 0 and 1 differ in every one, and no two dimensions share theirs.

    Dimensions of images (four axes or more) get multiples of 32, as networks that halve them demand; others get 64
    and 29 upwards, below the usual limits of position tables.
    """
    image = {dim for entry in inputs if len(entry.dims) > 3 for dim in entry.dims}
    sizes = {}
    for index, name in enumerate(free_dimensions(inputs)):
        first, second = (64 + 32 * index, 96 + 64 * index) if name in image else (64 + index, 29 + 3 * index)
        sizes[name] = second if variant else first
    return sizes


def rows(
    inputs: tuple[Input, ...], ceilings: Mapping[str, int], indices: Sequence[int], sizes: Mapping[str, int], seed: int
) -> Values:
    """The rows `indices` stacked, by input name. A row depends on its index and the seed, not on its company."""
    return {
        entry.name: np.stack([_row(entry, ceilings.get(entry.name), index, sizes, seed) for index in indices])
        for entry in inputs
    }


def ceilings(graph: Graph) -> dict[str, int]:
    """For each integer input that indexes a table of constants: the table's length, which bounds its values."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        if node.op != "Gather" or node.proto.input[0] not in graph.constants:
            continue
        axis = next((attribute.i for attribute in node.proto.attribute if attribute.name == "axis"), 0)
        length = graph.constants[node.proto.input[0]].dims[axis]
        source = node.proto.input[1]
        while source in graph.writer and graph.writer[source].op in _CARRIES_INDICES:
            source = graph.writer[source].proto.input[0]
        if source in graph.inputs:
            found[source] = min(length, found.get(source, length))
    return found


def _row(entry: Input, ceiling: int | None, index: int, sizes: Mapping[str, int], seed: int) -> Array:
    if entry.dims[0] != BATCH:
        raise SliceError(f"input {entry.name!r} has {entry.dims[0]} in front, wanted the batch")
    shape = tuple(sizes[dim] if isinstance(dim, str) else dim for dim in entry.dims[1:])
    random = np.random.default_rng([seed, index, zlib.crc32(entry.name.encode())])
    dtype = np.dtype(entry.dtype)
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    if ceiling is not None:
        return random.integers(0, min(ceiling, np.iinfo(dtype).max), shape).astype(dtype)
    if not shape:
        return np.ones(shape, dtype)
    # No table bounds it, so it is most likely a mask: ones, then zeros.
    length = int(random.integers((shape[-1] + 1) // 2, shape[-1] + 1))
    return np.broadcast_to(np.arange(shape[-1]) < length, shape).astype(dtype)
