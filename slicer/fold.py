"""Constants folded by ONNX Runtime's BASIC level, offline: two to seven times fewer nodes, all still standard ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx

from slicer.load import normalise
from slicer.sessions import Session

FOLDED = "folded.onnx"
FOLDED_WEIGHTS = f"{FOLDED}.weights"  # as `Session` names it
_ONNX_DOMAINS = frozenset({"", "ai.onnx"})


def fold(
    model: onnx.ModelProto, threads: int, progress: Callable[[str], None], weights: Path | None = None
) -> onnx.ModelProto:
    """The folded model, in normal form; the model itself, saying so, where folding would leave standard ONNX.

    `weights` is the folder in which the model keeps weights in files, where it does: the folded model then keeps
    its own in `FOLDED_WEIGHTS` there.
    """
    inputs = list(model.graph.input)
    domains = {node.domain for node in model.graph.node} | _ONNX_DOMAINS
    with tempfile.TemporaryDirectory(prefix="slice-fold-", dir=weights) as scratch:
        target = Path(scratch) / FOLDED
        Session(model.SerializeToString(), threads=threads, folded_to=target, weights=weights)
        folded = onnx.ModelProto.FromString(target.read_bytes())
        if weights is not None and (Path(scratch) / FOLDED_WEIGHTS).exists():
            (Path(scratch) / FOLDED_WEIGHTS).replace(weights / FOLDED_WEIGHTS)
    foreign = _foreign(folded, domains)
    if foreign is not None:
        progress(f"not folded: ONNX Runtime would write {foreign}, which is not in the model's ONNX version")
        return model
    del folded.graph.input[:]
    folded.graph.input.extend(inputs)  # an input that folding left without readers is still fed
    used = {node.domain for node in folded.graph.node} | {function.domain for function in folded.functions} | {""}
    opsets = [opset for opset in folded.opset_import if opset.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend(opsets)
    return normalise(folded)


def _foreign(folded: onnx.ModelProto, domains: set[str]) -> str | None:
    """An operator of `folded` that the model's own domains and ONNX version do not define."""
    version = next((opset.version for opset in folded.opset_import if opset.domain in _ONNX_DOMAINS), 1)
    for node in folded.graph.node:
        if node.domain not in domains:
            return f"{node.domain}.{node.op_type}"
        if node.domain in _ONNX_DOMAINS and not onnx.defs.has(node.op_type, version, ""):
            return f"{node.op_type} (not in version {version})"
    return None
