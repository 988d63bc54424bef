"""The networks we can write, by name."""

import difflib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import onnx

from dvabatch.models.bert import Bert
from dvabatch.models.densenet import DenseNet
from dvabatch.models.errors import ModelError
from dvabatch.models.inception import InceptionV3
from dvabatch.models.linknet import LinkNet
from dvabatch.models.pixels import take_bytes
from dvabatch.models.resnet import ResNet
from dvabatch.models.unet import UNet
from dvabatch.models.vgg import Vgg


@dataclass(frozen=True, slots=True)
class Network:
    """One network: `build(input_shape, seed)` makes its model.

    `input_shape` is the default shape of one row of each of `inputs`, the batch axis left out. For a network over
    sequences it is (longest,): its sequence axis stays free up to that.
    """

    name: str
    summary: str
    input_shape: tuple[int, ...]
    build: Callable[[Sequence[int], int], onnx.ModelProto]
    inputs: tuple[str, ...] = ("input",)


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
        "vgg_19",
        "VGG-19, 144 million parameters, 1000 classes",
        (3, 224, 224),
        Vgg(
            "vgg_19",
            convolutions=(2, 2, 4, 4, 4),
            channels=(64, 128, 256, 512, 512),
            hidden=4096,
            classes=1000,
        ),
    ),
    Network(
        "unet",
        "U-Net, 31 million parameters, 2 classes for each pixel",
        (3, 256, 256),
        UNet("unet", width=64, depth=4, classes=2),
    ),
    Network(
        "linknet",
        "LinkNet on ResNet-18, 12 million parameters, 19 classes for each pixel",
        (3, 256, 256),
        LinkNet("linknet", blocks=(2, 2, 2, 2), width=64, classes=19),
    ),
    Network(
        "densenet_121",
        "DenseNet-121, 8 million parameters, 1000 classes",
        (3, 224, 224),
        DenseNet("densenet_121", layers=(6, 12, 24, 16), growth=32, classes=1000),
    ),
    Network(
        "inception_v3",
        "Inception v3, 24 million parameters, 1000 classes",
        (3, 299, 299),
        InceptionV3("inception_v3", divisor=1, classes=1000),
    ),
    Network(
        "bert_base",
        "BERT-base, 109 million parameters, sequences of any length up to the one given",
        (512,),
        Bert("bert_base", blocks=12, hidden=768, heads=12, vocabulary=30522),
        inputs=("input_ids", "attention_mask"),
    ),
    Network(
        "tiny_resnet",
        "the blocks of ResNet-152 in a network of less than 1 MB, 10 classes: for trying things out",
        (3, 32, 32),
        ResNet("tiny_resnet", blocks=(1, 2, 2, 1), width=8, classes=10),
    ),
    Network(
        "tiny_unet",
        "U-Net with a sixteenth of its channels, less than 1 MB: for trying things out",
        (3, 32, 32),
        UNet("tiny_unet", width=4, depth=4, classes=2),
    ),
    Network(
        "tiny_bert",
        "two narrow blocks of BERT, less than 1 MB: for trying things out",
        (128,),
        Bert("tiny_bert", blocks=2, hidden=64, heads=4, vocabulary=1000),
        inputs=("input_ids", "attention_mask"),
    ),
)


def build_network(
    name: str, *, input_shape: tuple[int, ...] | None = None, seed: int = 0, as_bytes: bool = False
) -> onnx.ModelProto:
    """The model of network `name` with random weights of `seed`.

    `input_shape` is that of one row, batch axis left out; None takes the network's default. With `as_bytes` pictures
    are uint8, and the network makes numbers of them.
    Raises ModelError for an unknown name, an impossible shape, a negative seed, or bytes for what takes no pictures.
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
    model = network.build(shape, seed)
    if as_bytes:
        take_bytes(model)
    return model


def write_network(
    name: str, path: Path, *, input_shape: tuple[int, ...] | None = None, seed: int = 0, as_bytes: bool = False
) -> Path:
    """Write network `name` (see `build_network`) to `path` and return it; folders on the way are made.

    The file appears whole or not at all, and holds the same bytes each time for the same arguments.
    """
    model = build_network(name, input_shape=input_shape, seed=seed, as_bytes=as_bytes)
    data = model.SerializeToString(deterministic=True)
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
