"""ONNX Runtime sessions as the slicer opens them: on the CPU, quiet, and without spinning threads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from slicer.errors import SliceError
from slicer.external import INLINE_BYTES

# Everything that ONNX Runtime raises derives from one of these; it has no common base class of its own.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    *(
        value
        for value in vars(ort_errors).values()
        if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, RuntimeError)
    ),
)

_NODE_NAME = re.compile(r"Name: ?'([^']*)'")


class Session:
    """One model, ready to run. Free it by dropping the object."""

    def __init__(
        self,
        model: bytes | Path,
        *,
        threads: int,
        optimise: bool = True,
        folded_to: Path | None = None,
        weights: Path | None = None,
    ) -> None:
        """Open `model`; `folded_to` writes the BASIC-optimised model there instead of preparing for speed.

        `weights` is the folder of the files that a model given as bytes keeps weights in; its folded model then keeps
        them in a file too, named like it with ".weights" added.
        """
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, with the same words
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Pools that spin slow each other down: with defaults eight stages cost up to 2.4 times the whole model.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
        if folded_to is not None:
            options.graph_optimization_level = levels.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(folded_to)
        if weights is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
            if folded_to is not None:
                name = f"{folded_to.name}.weights"
                options.add_session_config_entry("session.optimized_model_external_initializers_file_name", name)
                options.add_session_config_entry(
                    "session.optimized_model_external_initializers_min_size_in_bytes", str(INLINE_BYTES)
                )
        try:
            self._session: Any = ort.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
            )
        except RUNTIME_ERRORS as error:
            raise SliceError(
                f"ONNX Runtime {ort.__version__} cannot load the model, wanted one that it runs on the CPU: "
                f"{first_line(error)}: check the file with onnx.checker.check_model"
            ) from error
        self.outputs: tuple[str, ...] = tuple(value.name for value in self._session.get_outputs())

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Every output by name. Raises what ONNX Runtime raises (`RUNTIME_ERRORS`)."""
        values = cast("Sequence[Any]", self._session.run(None, dict(feeds)))
        return dict(zip(self.outputs, values, strict=True))


def first_line(error: BaseException) -> str:
    """The first line of an error's text, which in ONNX Runtime is the one that names the node."""
    return str(error).strip().partition("\n")[0][:400]


def node_in(error: BaseException) -> str | None:
    """The node that a failed run names, where it names one."""
    found = _NODE_NAME.search(str(error))
    return found.group(1) if found else None
