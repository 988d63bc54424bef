"""The sections `model` and `inputs`: what is served, and what its payloads look like."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dvabatch.models.registry import registry
from dvabatch_cli.config.error import Finding, shown
from dvabatch_cli.config.section import Count, Number, Section, Seed
from dvabatch_cli.config.suggest import did_you_mean, listed

Shape = Annotated[tuple[Count, ...], Field(min_length=1, max_length=8)]


class NetworkModel(Section):
    """A network that dvabatch writes itself, with random weights."""

    network: str
    """Name of the network, for example resnet_152."""
    input: Shape | None = None
    """Shape of one row, batch axis left out; the network's usual one if not given."""
    input_type: Literal["float32", "uint8"] = "float32"
    """How pictures come: as numbers, or as bytes of which the network makes numbers."""
    seed: Seed = 0
    """Seed of the random weights."""

    def findings(self) -> Iterator[Finding]:
        if self.network not in registry:
            hint = did_you_mean(self.network, registry)
            yield Finding(("network",), shown(self.network), listed(sorted(registry)), hint)
        elif self.input_type == "uint8" and len(registry[self.network].inputs) > 1:
            yield Finding(("input_type",), '"uint8"', f'"float32": {self.network} takes no pictures', "leave it out")


class OnnxModel(Section):
    """An ONNX file."""

    onnx: Annotated[str, Field(min_length=1)]
    """Path of the file, relative to the config's folder."""
    shapes: Annotated[dict[str, Shape], Field(default_factory=dict)]
    """Whole shapes, batch axis first, of the inputs whose dimensions the file leaves free."""
    bind: Annotated[dict[str, Number], Field(default_factory=dict)]
    """Scalar inputs to fix as constants."""


def model_kind(value: Any) -> str:
    """Which of the two a raw `model` section means: the tag of its class."""
    if isinstance(value, dict):
        return "onnx" if "onnx" in value else "network"
    return "onnx" if isinstance(value, OnnxModel) else "network"


MODELS: dict[str, type[Section]] = {"network": NetworkModel, "onnx": OnnxModel}
ModelSection = Annotated[
    Annotated[NetworkModel, Tag("network")] | Annotated[OnnxModel, Tag("onnx")], Discriminator(model_kind)
]


class InputSection(Section):
    """Payload of one input: random by its type between `low` and `high`, from a file, or a mask of another input."""

    pad: Number = 0
    """Fills rows and lengths up to a lane's shape."""
    low: Number | None = None
    """Smallest random value; by the input's type if not given."""
    high: Number | None = None
    """Random values stay below it; by the input's type if not given."""
    mask_of: str | None = None
    """1 where that input has data and 0 where it is padded."""
    file: Annotated[str, Field(min_length=1)] | None = None
    """Path of an .npz file with an array of the input's name, relative to the config's folder."""

    def findings(self) -> Iterator[Finding]:
        if self.low is not None and self.high is not None and self.low >= self.high:
            yield Finding(("high",), shown(self.high), f"more than low ({shown(self.low)})")
        sources = [name for name in ("mask_of", "file") if getattr(self, name) is not None]
        if len(sources) == 2:
            yield Finding(("file",), "both mask_of and file", "only one of mask_of or file", "remove one of them")
        for name in ("low", "high"):
            if sources and getattr(self, name) is not None:
                hint = f"{sources[0]} gives the values"
                yield Finding((name,), f"{name} beside {sources[0]}", f"{name} or {sources[0]}", hint)
