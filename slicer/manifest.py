"""stages.json: what a folder of stages holds. Read as hostile input, written last and in one step."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from slicer.errors import ManifestError
from slicer.external import content_digest
from slicer.signature import BATCH

VERSION = 1
FILE_NAME = "stages.json"
MAX_BYTES = 16 << 20
MAX_STAGES = 4096

_DTYPES = frozenset({"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}) | {
    "float16",
    "float32",
    "float64",
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor between stages. `shape[0]` is "N", the batch.

    Another dimension is a size, the name of the free input dimension it equals, or "?" where it varies without one.
    `dtype` is NumPy's name for it.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a tensor without a name came, wanted one")
        if self.dtype not in _DTYPES:
            raise ValueError(f"tensor {self.name!r} has dtype {self.dtype!r}, wanted one of {sorted(_DTYPES)}")
        if not self.shape or self.shape[0] != BATCH:
            raise ValueError(f"tensor {self.name!r} has shape {self.shape}, wanted {BATCH!r} in front")
        for dim in self.shape[1:]:
            if dim == BATCH or (dim == "" if isinstance(dim, str) else dim < 0):
                raise ValueError(f"tensor {self.name!r} has dimension {dim!r}, wanted a size, a name or '?'")


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage. `outputs` is all that a later stage or the model's answer needs from it.

    `crossing_bytes_per_row` counts every tensor alive across the cut after this stage, skips and early answers
    included, at the probed shapes; 0 for the last stage. `latency_ms` was measured when the model was sliced.
    """

    index: int
    file: str
    sha256: str
    nodes: int
    parameters: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    crossing_bytes_per_row: int
    latency_ms: dict[int, float]
    favored_batch: int

    def __post_init__(self) -> None:
        _check_file(self.file)
        _check_digest(self.sha256, self.file)
        for what in ("index", "nodes", "parameters", "crossing_bytes_per_row"):
            if getattr(self, what) < 0:
                raise ValueError(f"{what} of {self.file} is {getattr(self, what)}, wanted 0 or more")
        for batch, latency in self.latency_ms.items():
            if batch < 1 or not math.isfinite(latency) or latency < 0:
                raise ValueError(f"latency_ms of {self.file} says {latency} at batch {batch}, wanted time at 1 or more")
        if self.favored_batch not in self.latency_ms:
            raise ValueError(f"favored_batch of {self.file} is {self.favored_batch}, wanted one of those in latency_ms")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A sliced model. Running the stages in order, passing tensors on by name, gives the model's answers.

    `model_file` is a byte-for-byte copy of the source, the reference for answers; where the source has a batch on
    another axis than the first, it is the source with a Transpose there. `shapes` and `bind` say which of its free
    dimensions and scalar arguments the stages fix. `external` gives the sha256 of the files in which the source keeps
    weights; it is written only where there are any.
    """

    version: int
    name: str
    model_file: str
    model_sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    shapes: dict[str, tuple[int, ...]]
    stages: tuple[StageSpec, ...]
    bind: dict[str, float | int] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)

    @property
    def content_sha256(self) -> str:
        """Names the model and the weights that lie in files beside it."""
        return content_digest(self.model_sha256, self.external)

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of every file beside the manifest, by name."""
        return (
            {self.model_file: self.model_sha256} | {stage.file: stage.sha256 for stage in self.stages} | self.external
        )

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"version is {self.version}, wanted {VERSION}: slice the model again")
        _check_file(self.model_file)
        _check_digest(self.model_sha256, self.model_file)
        if not 1 <= len(self.stages) <= MAX_STAGES:
            raise ValueError(f"{len(self.stages)} stages came, wanted 1 to {MAX_STAGES}")
        for name, digest in self.external.items():
            _check_file(name)
            _check_digest(digest, name)
        files = [self.model_file, *(stage.file for stage in self.stages), *self.external, FILE_NAME]
        if len(set(files)) != len(files):
            raise ValueError(f"files {files} came, wanted each once")
        known = {spec.name: spec for spec in self.inputs}
        for place, stage in enumerate(self.stages):
            if stage.index != place:
                raise ValueError(f"stage {place} has index {stage.index}, wanted {place}")
            for spec in stage.inputs:
                if known.get(spec.name) != spec:
                    raise ValueError(f"stage {place} reads {spec}, wanted a tensor that an earlier stage writes so")
            for spec in stage.outputs:
                if spec.name in known:
                    raise ValueError(f"stage {place} writes {spec.name!r} again, wanted each tensor written once")
                known[spec.name] = spec
        for spec in self.outputs:
            if known.get(spec.name) != spec:
                raise ValueError(f"the model answers {spec}, which no stage writes so")


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a folder of stages. Raises ManifestError for anything but a well-formed one.

    Files are named, not opened: `verify` compares their digests.
    """
    path = directory / FILE_NAME
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read ({error.strerror}): slice the model again") from error
    if len(data) > MAX_BYTES:
        raise ManifestError(f"{path} has more than {MAX_BYTES} bytes, wanted a manifest: slice the model again")
    try:
        return _manifest(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path} is no manifest: {error or type(error).__name__}: slice the model again") from error


def write_manifest(manifest: Manifest, directory: Path) -> None:
    """Write stages.json in one step: it is there whole or not at all."""
    fields = dataclasses.asdict(manifest)
    if not manifest.external:
        del fields["external"]  # which readers of before do not know
    text = json.dumps(fields, sort_keys=True, indent=1, allow_nan=False)
    handle, name = tempfile.mkstemp(prefix=".stages-", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        Path(name).chmod(0o644)  # mkstemp makes private files; a folder of stages is for others too
        Path(name).replace(directory / FILE_NAME)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _check_file(name: str) -> None:
    """A plain file name: nothing that leaves the folder, on any system."""
    if not name or name != Path(name).name or name in {".", ".."} or any(sign in name for sign in "/\\:\0"):
        raise ValueError(f"file name {name!r} came, wanted a plain name inside the folder")


def _check_digest(digest: str, file: str) -> None:
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"sha256 of {file} is {digest!r}, wanted 64 hexadecimal digits")


def _manifest(data: Any) -> Manifest:
    top = _fields(data, Manifest, "manifest", optional={"bind", "external"})
    return Manifest(
        version=_typed(top["version"], int, "version"),
        name=_typed(top["name"], str, "name"),
        model_file=_typed(top["model_file"], str, "model_file"),
        model_sha256=_typed(top["model_sha256"], str, "model_sha256"),
        inputs=_several(top["inputs"], _tensor, "inputs"),
        outputs=_several(top["outputs"], _tensor, "outputs"),
        shapes={
            name: _several(shape, lambda size, at: _typed(size, int, at), f"shapes[{name!r}]")
            for name, shape in _typed(top["shapes"], dict, "shapes").items()
        },
        stages=_several(top["stages"], _stage, "stages"),
        bind={
            name: value if isinstance(value, int) else _typed(value, float, f"bind[{name!r}]")
            for name, value in _typed(top.get("bind", {}), dict, "bind").items()
        },
        external={
            name: _typed(digest, str, f"external[{name!r}]")
            for name, digest in _typed(top.get("external", {}), dict, "external").items()
        },
    )


def _stage(data: Any, at: str) -> StageSpec:
    fields = _fields(data, StageSpec, at)
    numbers = {
        name: _typed(fields[name], int, f"{at}.{name}")
        for name in ("index", "nodes", "parameters", "crossing_bytes_per_row", "favored_batch")
    }
    latency_ms: dict[int, float] = {}
    for batch, value in _typed(fields["latency_ms"], dict, f"{at}.latency_ms").items():
        if not re.fullmatch(r"[1-9][0-9]{0,8}", batch):
            raise ValueError(f"{at}.latency_ms has key {batch!r}, wanted a batch size")
        number = float(value) if type(value) is int else value
        latency_ms[int(batch)] = _typed(number, float, f"{at}.latency_ms[{batch}]")
    return StageSpec(
        file=_typed(fields["file"], str, f"{at}.file"),
        sha256=_typed(fields["sha256"], str, f"{at}.sha256"),
        inputs=_several(fields["inputs"], _tensor, f"{at}.inputs"),
        outputs=_several(fields["outputs"], _tensor, f"{at}.outputs"),
        latency_ms=latency_ms,
        **numbers,
    )


def _tensor(data: Any, at: str) -> TensorSpec:
    fields = _fields(data, TensorSpec, at)
    return TensorSpec(
        _typed(fields["name"], str, f"{at}.name"),
        _typed(fields["dtype"], str, f"{at}.dtype"),
        _several(fields["shape"], _dim, f"{at}.shape"),
    )


def _dim(data: Any, at: str) -> int | str:
    return data if isinstance(data, str) else _typed(data, int, at)


def _fields(data: Any, kind: type, at: str, optional: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    found: dict[str, Any] = _typed(data, dict, at)
    known = {entry.name for entry in dataclasses.fields(kind)}
    wrong = sorted((known - optional - found.keys()) | (found.keys() - known))
    if wrong:
        raise ValueError(f"{at} lacks or does not know {', '.join(map(repr, wrong))}, wanted {sorted(known)}")
    return found


def _several(data: Any, one: Callable[[Any, str], _T], at: str) -> tuple[_T, ...]:
    return tuple(one(entry, f"{at}[{index}]") for index, entry in enumerate(_typed(data, list, at)))


def _typed(data: Any, kind: type[_T], at: str) -> _T:
    # type() and not isinstance(): true is an int to Python, not to a manifest.
    if type(data) is not kind:
        raise ValueError(f"{at} is {type(data).__name__}, wanted {kind.__name__}")
    return data
