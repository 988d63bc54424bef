"""The folder of a slice: how the source gets into it, and how it is put in place whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from slicer.axes import batch_first
from slicer.errors import SliceError
from slicer.external import file_names, settle_external
from slicer.fold import FOLDED_WEIGHTS
from slicer.load import load_model, normalise, parse_model
from slicer.manifest import FILE_NAME, Manifest

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
    """Move a finished slice into place. The old manifest goes first and the new one comes last."""
    (out / FILE_NAME).unlink(missing_ok=True)
    files = {manifest.model_file, *manifest.external, *(stage.file for stage in manifest.stages)}
    for stale in out.glob("stage_*.onnx"):
        if stale.name not in files:
            stale.unlink()
    for name in sorted(files):
        (folder / name).replace(out / name)
    (folder / FILE_NAME).replace(out / FILE_NAME)
