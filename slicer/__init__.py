"""ONNX model -> stages that batch on their own, a manifest, and the proof that they equal the model.

>>> from pathlib import Path
>>> slice_model(Path("no_such.onnx"), Path("."), SliceOptions(stages=4))
Traceback (most recent call last):
slicer.errors.SliceError: ...no_such.onnx does not exist, wanted an ONNX file: check the path
"""

from slicer.checked import CheckedStages, check_stages
from slicer.errors import ManifestError, SliceError
from slicer.manifest import Manifest, StageSpec, TensorSpec, read_manifest, write_manifest
from slicer.options import SliceOptions
from slicer.plan import slice_model
from slicer.verify import Verification, verify

__all__ = [
    "CheckedStages",
    "Manifest",
    "ManifestError",
    "SliceError",
    "SliceOptions",
    "StageSpec",
    "TensorSpec",
    "Verification",
    "check_stages",
    "read_manifest",
    "slice_model",
    "verify",
    "write_manifest",
]
