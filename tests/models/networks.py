"""What the tests of networks share: small relatives of each family, rows for them, and running them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from dvabatch.models.densenet import DenseNet
from dvabatch.models.inception import InceptionV3
from dvabatch.models.linknet import LinkNet
from dvabatch.models.registry import registry
from dvabatch.models.vgg import Vgg

Values = dict[str, npt.NDArray[Any]]
Build = Callable[[Sequence[int], int], onnx.ModelProto]

SMALL_VGG = Vgg("small_vgg", convolutions=(1, 1, 2, 2, 2), channels=(8, 8, 16, 16, 16), hidden=32, classes=10)
SMALL_LINKNET = LinkNet("small_linknet", blocks=(2, 1, 1, 2), width=8, classes=5)
SMALL_DENSENET = DenseNet("small_densenet", layers=(2, 3, 2, 2), growth=8, classes=10)
SMALL_INCEPTION = InceptionV3("small_inception", divisor=8, classes=10)

# One of each family, with a shape that it takes.
FAMILIES: Mapping[str, tuple[Build, tuple[int, ...]]] = {
    "resnet": (registry["tiny_resnet"].build, (3, 32, 32)),
    "vgg": (SMALL_VGG, (3, 64, 64)),
    "unet": (registry["tiny_unet"].build, (3, 32, 48)),
    "linknet": (SMALL_LINKNET, (3, 64, 32)),
    "densenet": (SMALL_DENSENET, (3, 64, 64)),
    "inception": (SMALL_INCEPTION, (3, 96, 96)),
    "bert": (registry["tiny_bert"].build, (64,)),
}


def session_of(model: onnx.ModelProto | Path) -> ort.InferenceSession:
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, providers=["CPUExecutionProvider"])


def rows_for(model: onnx.ModelProto, count: int, *, sequence: int = 9) -> Values:
    """Rows that differ: normal values for pictures; tokens, none of them masked, for sequences."""
    random = np.random.default_rng(7)
    values: Values = {}
    for entry in model.graph.input:
        dims = [dim.dim_value or sequence for dim in entry.type.tensor_type.shape.dim[1:]]
        if entry.name == "input_ids":
            values[entry.name] = random.integers(0, 1000, (count, *dims))
        elif entry.name == "attention_mask":
            values[entry.name] = np.ones((count, *dims), np.int64)
        else:
            values[entry.name] = random.standard_normal((count, *dims), dtype=np.float32)
    return values


def run(model: onnx.ModelProto | ort.InferenceSession, values: Values) -> npt.NDArray[np.float32]:
    session = model if isinstance(model, ort.InferenceSession) else session_of(model)
    (output,) = session.run(None, values)
    return np.asarray(output)


def parameters(model: onnx.ModelProto) -> int:
    """How many numbers training would change: the statistics of normalisations are none."""
    return sum(int(np.prod(w.dims)) for w in model.graph.initializer if ".running_" not in w.name)


def sizes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Inferred dimensions of each tensor, the batch left out."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return {v.name: [dim.dim_value for dim in v.type.tensor_type.shape.dim[1:]] for v in inferred.graph.value_info}


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def apart(output: npt.NDArray[np.float32]) -> float:
    """How far the first two answers are from each other, relative to the largest number of all."""
    assert np.isfinite(output).all()
    return float(np.abs(output[0] - output[1]).max() / np.abs(output).max())
