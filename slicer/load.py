"""A model file, read and brought into the one form that the rest of the slicer understands."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from slicer.errors import SliceError
from slicer.external import MAX_BYTES, check_place, content_digest, file_names, settle_external
from slicer.graph import reads_of

MIN_IR_VERSION = 8  # from here on an initializer need not be listed as an input


def load_model(path: Path, called: Path | None = None) -> onnx.ModelProto:
    """Read and normalise the model at `path`, which messages call `called`.

    Large weights that lie in files beside it stay there (see `external`). Raises SliceError for what is no readable
    model.
    """
    model = parse_model(path, called)
    settle_external(model, path.parent, called or path)
    return normalise(model)


def parse_model(path: Path, called: Path | None = None) -> onnx.ModelProto:
    """Read the model at `path`, which messages call `called`, as it is. Raises SliceError for what is no model."""
    shown = called or path
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SliceError(f"{shown} {what}, wanted an ONNX file: check the path")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SliceError(
            f"{shown} has {size} bytes, wanted at most {MAX_BYTES}, which one file can hold: "
            "save it with onnx.save(..., save_as_external_data=True)"
        )
    return parse_bytes(path.read_bytes(), shown)


def parse_bytes(data: bytes, shown: Path) -> onnx.ModelProto:
    """The model in these bytes of a file, which messages call `shown`. Raises SliceError for what is no model."""
    model, size = onnx.ModelProto(), len(data)
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise SliceError(
            f"{shown} ({size} bytes) is no complete ONNX file, it may be truncated: fetch or export it again"
        ) from error
    if not model.graph.node:
        raise SliceError(f"{shown} ({size} bytes) holds no operators, wanted an ONNX model: fetch or export it again")
    if model.graph.sparse_initializer:
        raise SliceError(f"{shown} has sparse initializers, wanted dense ones: export it without sparsity")
    return model


def normalise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring `model` into normal form, in place: initializers are no inputs, nodes are in order and have unique names.

    Shapes written for inner tensors and outputs are dropped: they describe the batch that the exporter saw, and
    ONNX Runtime derives them anew.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in [*graph.input, *graph.output]:
        if value.type.WhichOneof("value") != "tensor_type":
            kind = value.type.WhichOneof("value") or "nothing"
            raise SliceError(f"{value.name!r} holds {kind}, wanted a tensor: such models cannot be sliced")
    model.ir_version = max(model.ir_version, MIN_IR_VERSION)
    _sort(graph)
    _name(graph)
    passed = [value.name for value in graph.output if value.name in {entry.name for entry in graph.input}]
    if passed:
        raise SliceError(f"output {passed[0]!r} is an input handed back unchanged: drop it from the model's outputs")
    return model


def _sort(graph: onnx.GraphProto) -> None:
    """Stable topological order: a node stays where it is unless it must wait for one written later."""
    ready = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    written = {name for node in graph.node for name in node.output}
    waiting = list(graph.node)
    ordered: list[onnx.NodeProto] = []
    while waiting:
        later = []
        for node in waiting:
            reads = reads_of(node)
            unknown = [name for name in reads if name not in ready and name not in written]
            if unknown:
                raise SliceError(
                    f"{node.op_type} node {node.name!r} reads {unknown[0]!r}, which nothing writes: export it again"
                )
            if all(name in ready for name in reads):
                ordered.append(node)
                ready.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            names = ", ".join(repr(node.name) for node in later[:3])
            raise SliceError(f"nodes {names} wait for each other, wanted a graph without circles: export it again")
        waiting = later
    if len(ordered) != len(graph.node) or any(a is not b for a, b in zip(ordered, graph.node, strict=True)):
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
        del graph.node[:]
        graph.node.extend(copies)


def _name(graph: onnx.GraphProto) -> None:
    taken = {node.name for node in graph.node}
    seen: set[str] = set()
    for index, node in enumerate(graph.node):
        if not node.name or node.name in seen:
            name = f"{node.name or node.op_type}_{index}"
            while name in taken:
                name += "_"
            taken.add(name)
            node.name = name
        seen.add(node.name)


def content_sha256(path: Path) -> str:
    """Names an ONNX file with the weights that it keeps in other files.

    Raises:
        SliceError: it is no ONNX file, or one of those files is missing or lies elsewhere.
    """
    names = file_names(parse_model(path))
    for name in names:
        check_place(name, path.parent, f"{path} keeps weights")
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise SliceError(f"{path} keeps weights in {missing[0]}, which is not beside it: put the file there")
    return content_digest(sha256_of(path), {name: sha256_of(path.parent / name) for name in names})


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
