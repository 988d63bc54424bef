"""Weights that lie in files beside a model: how models above protobuf's 2 GiB are kept.

Large weights stay where they are and only their references travel, so that no copy of the whole model is ever made in
memory; ONNX Runtime maps the files. Small tensors are brought in, since shape arithmetic and folding read them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx

from slicer.errors import SliceError
from slicer.graph import subgraphs

INLINE_BYTES = 1 << 16  # up to here a tensor is brought in: reshape targets, scales, small biases
MAX_BYTES = 2**31 - 1  # protobuf's limit on one message


def content_digest(model_sha256: str, external: Mapping[str, str]) -> str:
    """What names a model and the weights beside it: the model's own digest where it has none."""
    if not external:
        return model_sha256
    said = "".join(f"{name}:{digest}\n" for name, digest in sorted(external.items()))
    return hashlib.sha256(f"{model_sha256}\n{said}".encode()).hexdigest()


def is_external(tensor: onnx.TensorProto) -> bool:
    """True if the tensor's values lie in another file."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def file_names(model: onnx.ModelProto) -> tuple[str, ...]:
    """The files that `model` keeps tensors in, each once, as the model names them."""
    return tuple(sorted({_entry(tensor)[0] for tensor in _tensors(model.graph) if is_external(tensor)}))


def outside_bytes(model: onnx.ModelProto) -> int:
    """Bytes of the weights that lie in other files."""
    return sum(tensor_bytes(tensor) for tensor in _tensors(model.graph) if is_external(tensor))


def check_place(name: str, folder: Path, whose: str) -> None:
    """Refuses to follow `name` out of `folder`, by its own words or by a link. Raises SliceError, which begins with `whose`."""
    if not name or name != Path(name).name or name in {".", ".."} or any(sign in name for sign in "\\:\0"):
        raise SliceError(
            f"{whose} in {name!r}, wanted a file beside it: "
            "load it with onnx.load and save it with onnx.save(..., save_as_external_data=True)"
        )
    if (folder / name).is_symlink():
        raise SliceError(f"{whose} in {name!r}, which is a link, wanted a plain file beside it: put a copy there")


def settle_external(model: onnx.ModelProto, folder: Path, shown: Path) -> None:
    """Check what `model` (which messages call `shown`) keeps in files of `folder`, and bring its small tensors in.

    Raises SliceError where a file is missing, too short, or lies elsewhere: a model is not to name files at will.
    """
    # ONNX Runtime reads initializers of the main graph from files, and they come first; what lies deeper is brought in.
    may_stay = len(model.graph.initializer)
    for place, tensor in enumerate(_tensors(model.graph)):
        if not is_external(tensor):
            continue
        name, offset, length = _entry(tensor)
        check_place(name, folder, f"{shown} keeps {tensor.name!r}")
        path = folder / name
        wanted = tensor_bytes(tensor)
        if not path.is_file():
            raise SliceError(f"{shown} keeps {tensor.name!r} in {name!r}, which is missing: fetch that file as well")
        if offset < 0 or length != wanted or path.stat().st_size < offset + length:
            raise SliceError(
                f"{shown} keeps {tensor.name!r} in {name!r} at {offset} with {length} bytes, wanted {wanted} bytes "
                f"inside a file of {path.stat().st_size}: it may be truncated, fetch or export it again"
            )
        if wanted <= INLINE_BYTES or place >= may_stay:
            _bring_in(tensor, folder)


def bring_all_in(model: onnx.ModelProto, folder: Path) -> None:
    """Make `model` self-contained, in place. Raises SliceError above what one file can hold."""
    # What is inside already is small; its size is not asked of protobuf, which would serialise it.
    size = outside_bytes(model)
    if size > MAX_BYTES - (MAX_BYTES >> 6):
        raise SliceError(
            f"a stage would hold {size} bytes of weights, wanted less than {MAX_BYTES}, which one file can hold: "
            "ask for more stages"
        )
    for tensor in _tensors(model.graph):
        if is_external(tensor):
            _bring_in(tensor, folder)


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """The size of a tensor's values, from its shape and type."""
    count = 1
    for dim in tensor.dims:
        count *= dim
    if tensor.data_type in {onnx.TensorProto.INT4, onnx.TensorProto.UINT4}:
        return (count + 1) // 2
    return count * np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize


def _bring_in(tensor: onnx.TensorProto, folder: Path) -> None:
    name, offset, length = _entry(tensor)
    with (folder / name).open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT


def _entry(tensor: onnx.TensorProto) -> tuple[str, int, int]:
    """File, offset and length. A length left out is that of the tensor."""
    found = {entry.key: entry.value for entry in tensor.external_data}
    try:
        return (
            found.get("location", ""),
            int(found.get("offset", 0)),
            int(found.get("length", 0)) or tensor_bytes(tensor),
        )
    except ValueError as error:
        raise SliceError(f"tensor {tensor.name!r} lies at {found}, wanted whole numbers: export it again") from error


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors
        for inner in subgraphs(node):
            yield from _tensors(inner)
