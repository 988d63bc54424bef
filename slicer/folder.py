"""The folder of a slice: how the source gets into it, and how it is put in place whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from slicer.axes import batch_first
from slicer.errors import ManifestError, SliceError
from slicer.external import file_names, settle_external
from slicer.fold import FOLDED_WEIGHTS
from slicer.load import load_model, normalise, parse_model
from slicer.manifest import FILE_NAME, Manifest, read_manifest

MODEL_FILE = "model.onnx"
_STAGE = re.compile(r"stage_\d+\.onnx")


def take_model(model: Path, folder: Path) -> tuple[str, ...]:
    """Bring the model and the files with its weights into `folder`; answers the names of those files.

    The model is hard-linked where the file system can.
    """
    parsed = parse_model(model)  # which says what is wrong with it
    outside = file_names(parsed)
    settle_external(parsed, model.parent, model)
    del parsed
    taken = [name for name in outside if name in {MODEL_FILE, FILE_NAME, FOLDED_WEIGHTS} or _STAGE.fullmatch(name)]
    if taken:
        raise SliceError(f"{model} keeps weights in {taken[0]!r}, a name that stages need: rename that file")
    for source, name in ((model, MODEL_FILE), *((model.parent / name, name) for name in outside)):
        try:
            os.link(source, folder / name)
        except OSError:
            shutil.copyfile(source, folder / name)
    return outside


def write_batch_first(path: Path, axes: Mapping[str, int], ranks: Mapping[str, int]) -> None:
    """Replace the source by itself with every batch in front, so that requests fit it as they fit the stages."""
    source = load_model(path)
    batch_first(source, axes, ranks)
    path.unlink()  # it may be a link to a file of the caller's
    path.write_bytes(normalise(source).SerializeToString())


def publish(folder: Path, out: Path, manifest: Manifest) -> None:
    """Move a finished slice into place. The old manifest goes first and the new one comes last.

    What the old one names and the new one does not is removed, and nothing else.
    """
    stale = _stale(out, manifest)
    (out / FILE_NAME).unlink(missing_ok=True)
    for name in stale:
        (out / name).unlink(missing_ok=True)
    for name in sorted(manifest.files):
        (folder / name).replace(out / name)
    (folder / FILE_NAME).replace(out / FILE_NAME)


def _stale(out: Path, manifest: Manifest) -> set[str]:
    """The files of the slice before that this one has no more.

    Weights stay where a model that is no part of that slice lies beside them: they may be its own.
    """
    try:
        before = read_manifest(out)
    except ManifestError:  # there is none, or what is there names nothing for sure
        return set()
    strangers = [path for path in out.glob("*.onnx") if path.name not in before.files]
    return set(before.files) - set(manifest.files) - set(before.external if strangers else ())
