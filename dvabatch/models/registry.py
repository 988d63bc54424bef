"""The networks we can write, by name."""

import difflib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import onnx

from dvabatch.models.errors import ModelError
from dvabatch.models.resnet import ResNet


@dataclass(frozen=True, slots=True)
class Network:
    """One network: `build(input_shape, seed)` makes its model.

    `input_shape` is the default shape of one row of "input", the batch axis left out.
    """

    name: str
    summary: str
    input_shape: tuple[int, ...]
    build: Callable[[Sequence[int], int], onnx.ModelProto]


def _by_name(*networks: Network) -> Mapping[str, Network]:
    return MappingProxyType({network.name: network for network in networks})


registry: Mapping[str, Network] = _by_name(
    Network(
        "resnet_152",
        "ResNet-152, 60 million parameters, 1000 classes",
        (3, 224, 224),
        ResNet("resnet_152", blocks=(3, 8, 36, 3), width=64, classes=1000),
    ),
    Network(
        "tiny_resnet",
        "the blocks of ResNet-152 in a network of less than 1 MB, 10 classes: for trying things out",
        (3, 32, 32),
        ResNet("tiny_resnet", blocks=(1, 2, 2, 1), width=8, classes=10),
    ),
)


def build_network(name: str, *, input_shape: tuple[int, ...] | None = None, seed: int = 0) -> onnx.ModelProto:
    """The model of network `name` with random weights of `seed`.

    `input_shape` is that of one row, batch axis left out; None takes the network's default.
    Raises ModelError for an unknown name, an impossible shape or a negative seed.
    """
    network = registry.get(name)
    if network is None:
        near = difflib.get_close_matches(name, registry, n=1, cutoff=0.0)[0]
        raise ModelError(f"no network is called {name!r}: did you mean {near!r}? Known: {', '.join(sorted(registry))}")
    shape = network.input_shape if input_shape is None else tuple(input_shape)
    if not all(_is_integer(size) and size > 0 for size in shape):
        raise ModelError(f"{name}: the input shape must be positive whole numbers, got {shape}")
    if not _is_integer(seed) or seed < 0:
        raise ModelError(f"{name}: the seed must be a whole number of at least 0, got {seed!r}")
    return network.build(shape, seed)


def write_network(name: str, path: Path, *, input_shape: tuple[int, ...] | None = None, seed: int = 0) -> Path:
    """Write network `name` (see `build_network`) to `path` and return it; folders on the way are made.

    The file appears whole or not at all, and holds the same bytes each time for the same arguments.
    """
    data = build_network(name, input_shape=input_shape, seed=seed).SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, since a rename is atomic only within a file system; named so that two writers never share it.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
