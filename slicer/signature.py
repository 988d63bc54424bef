"""What a model takes: its inputs' types and dimensions, which of them are free, and how they are bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from slicer.errors import SliceError

BATCH = "N"
UNKNOWN = "?"  # varies, in a way that has no name


@dataclass(frozen=True, slots=True)
class Input:
    """One input. `dims[0]` is "N"; another free dimension is its name, a bound one its size."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]
    fixed_batch: bool = False  # the file says 1 where N is meant


def bind_arguments(model: onnx.ModelProto, bind: Mapping[str, float | int]) -> None:
    """Turn the scalar inputs that `bind` names into constants, in place."""
    graph = model.graph
    inputs = {value.name: value for value in graph.input}
    for name, argument in bind.items():
        value = inputs.get(name)
        if value is None:
            raise SliceError(f"bind names {name!r}, the model's inputs are {_listed(inputs)}: name one of them")
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if any(size != 1 for size in dims):
            raise SliceError(f"bind names {name!r} of shape {dims}, wanted a scalar: leave it an input")
        dtype = _dtype(value)
        array = np.full(dims, argument, dtype=dtype)
        if float(array.reshape(-1)[0]) != float(argument) and np.dtype(dtype).kind != "f":
            raise SliceError(f"bind gives {name!r} the value {argument}, wanted {dtype}: give a value that fits")
        graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        graph.input.remove(value)


def read_inputs(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Input, ...]:
    """The inputs of a normalised model with `shapes` applied.

    Raises SliceError where `shapes` does not fit, or where an input has no batch in front.
    """
    values = {value.name: value for value in model.graph.input}
    for name in shapes:
        if name not in values:
            raise SliceError(f"shapes names {name!r}, the model's inputs are {_listed(values)}: name one of them")
    if not values:
        raise SliceError("the model has no inputs, wanted at least one with the batch in front")
    batch_names = {_symbol(value, 0) for value in values.values() if value.type.tensor_type.shape.dim}
    return tuple(_input(value, shapes.get(name), batch_names) for name, value in values.items())


def write_inputs(model: onnx.ModelProto, inputs: tuple[Input, ...]) -> None:
    """Write the dimensions of `inputs` into the model, in place."""
    del model.graph.input[:]
    model.graph.input.extend(value_info(entry.name, entry.dtype, entry.dims) for entry in inputs)


def value_info(name: str, dtype: str, dims: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    """A typed tensor as ONNX writes it. A dimension "?" is left open."""
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, element, [None if dim == UNKNOWN else dim for dim in dims])


def free_dimensions(inputs: tuple[Input, ...]) -> tuple[str, ...]:
    """Names of the free dimensions besides the batch, in order of appearance."""
    return tuple(dict.fromkeys(dim for entry in inputs for dim in entry.dims[1:] if isinstance(dim, str)))


def _input(value: onnx.ValueInfoProto, bound: tuple[int, ...] | None, batch_names: set[str | None]) -> Input:
    name, dims = value.name, value.type.tensor_type.shape.dim
    if not dims:
        raise SliceError(
            f"input {name!r} is a scalar, wanted a batch in front: bind it to a constant, such as --bind {name}=16000"
        )
    if bound is not None and len(bound) != len(dims):
        raise SliceError(f"shapes gives {name!r} {len(bound)} dimensions, the model has {len(dims)}: give them all")
    front = dims[0].dim_value
    if front > 1:
        raise SliceError(
            f"input {name!r} has {front} in front, wanted a free batch there: "
            f"say on which axis it is (--batch-axis {name}=1), or export the model with a dynamic batch"
        )
    found: list[int | str] = [BATCH]
    for axis in range(1, len(dims)):
        size, symbol = dims[axis].dim_value, _symbol(value, axis)
        if symbol is not None and symbol in batch_names:
            raise SliceError(
                f"axis {axis} of input {name!r} is the batch {symbol!r}, wanted it on one axis only: "
                f"say which (--batch-axis {name}={axis}), or export the model with its batch on axis 0"
            )
        if bound is not None and size > 0 and bound[axis] != size:
            raise SliceError(f"shapes gives axis {axis} of {name!r} {bound[axis]}, the model fixes it to {size}")
        if size > 0:
            found.append(size)
        elif bound is not None:
            found.append(bound[axis])
        else:
            found.append(symbol if symbol and symbol != BATCH else f"{name}.{axis}")
    return Input(name, _dtype(value), tuple(found), fixed_batch=front == 1)


def _symbol(value: onnx.ValueInfoProto, axis: int) -> str | None:
    """The name of a dimension; exporters that do not know one write nothing, -1 or "?"."""
    name = str(value.type.tensor_type.shape.dim[axis].dim_param)
    return name if name and name != UNKNOWN else None


def _dtype(value: onnx.ValueInfoProto) -> str:
    element = value.type.tensor_type.elem_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(element)
    if dtype.kind not in "fiub":
        raise SliceError(f"input {value.name!r} holds {dtype}, wanted numbers: such models cannot be sliced")
    return str(dtype)


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
