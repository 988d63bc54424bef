"""A folder of stages that may be used: its files are those that were sliced, and read no others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from slicer.errors import ManifestError
from slicer.external import MAX_BYTES, file_names
from slicer.load import parse_bytes, sha256_of
from slicer.manifest import Manifest, read_manifest


@dataclass(frozen=True, slots=True)
class CheckedStages:
    """What `check_stages` found, or what was sliced just now. It is passed on, since to check means to read every weight."""

    folder: Path
    manifest: Manifest


def check_stages(folder: Path) -> CheckedStages:
    """Reads every file of a folder of stages once, and holds it to its digest.

    Raises ManifestError where a file is missing or another one.
    """
    manifest = read_manifest(folder)
    models = {manifest.model_file, *(stage.file for stage in manifest.stages)}
    for name, digest in manifest.files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise ManifestError(f"{path} is missing or no plain file, wanted what was sliced: slice the model again")
        if name in models:
            _check_model(path, digest, manifest)
        elif sha256_of(path) != digest:
            raise _another(path)
    return CheckedStages(folder, manifest)


def _check_model(path: Path, digest: str, manifest: Manifest) -> None:
    """What a model reads is in the manifest too: a digest says what a file is, not what it leads to."""
    if path.stat().st_size > MAX_BYTES:  # more than any model of a manifest
        raise _another(path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise _another(path)
    strange = set(file_names(parse_bytes(data, path))) - manifest.external.keys()
    if strange:
        raise ManifestError(
            f"{path} keeps weights in {min(strange)!r}, wanted one of the manifest's files: slice the model again"
        )


def _another(path: Path) -> ManifestError:
    return ManifestError(f"{path} is not the file that was sliced (its sha256 differs): slice the model again")
