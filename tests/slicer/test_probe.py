"""The batch is found by experiment, and models whose rows depend on each other are refused by node."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from slicer import probe
from slicer.errors import SliceError
from slicer.options import SliceOptions
from slicer.plan import Analysis, analyse
from slicer.probe import Kind
from slicer.samples import Array, Values
from slicer.sessions import Session
from tests.slicer import nets

OPTIONS = SliceOptions(stages=2, threads=1)


def refused(net: nets.Net, tmp_path: Path, *outputs: str, options: SliceOptions = OPTIONS) -> str:
    with pytest.raises(SliceError) as caught:
        analyse(net.write(tmp_path / "net.onnx", *outputs), options)
    return str(caught.value)


def test_kinds_and_dimensions(analyses: dict[str, Analysis]) -> None:
    tensors = analyses["attention"].probe.tensors
    assert tensors["embedded"].kind is Kind.BATCH
    assert tensors["embedded"].dims == ("N", "sequence", 16)
    assert tensors["scores1"].dims == ("N", 2, "sequence", "sequence")
    assert tensors["split_shape"].kind is Kind.SHAPE
    assert tensors["embedded"].bytes_per_row == tensors["embedded"].shape[1] * 16 * 4
    assert all(tensor.kind is Kind.BATCH for tensor in analyses["skipping"].probe.tensors.values())


def test_a_mean_over_the_batch_is_named(tmp_path: Path) -> None:
    net = nets.chain(2)
    net.op("ReduceMean", "over_rows", "relu1", axes=[0], keepdims=1)
    net.op("Sub", "centred", "relu1", "over_rows")
    net.op("Relu", "end", "centred")
    assert "ReduceMean node 'over_rows' makes the rows of a batch depend" in refused(net, tmp_path, "end")


def test_batch_statistics_are_named(tmp_path: Path) -> None:
    net = nets.chain(2)
    for name in ("scale", "shift", "mean", "var"):
        net.constant(name, np.ones(4, np.float32))
    node = net.op("BatchNormalization", "norm", "relu1", "scale", "shift", "mean", "var", training_mode=1)
    net.nodes[-1].output.extend(["running_mean", "running_var"])
    net.op("Relu", "end", node)
    assert "BatchNormalization node 'norm'" in refused(net, tmp_path, "end")


def test_taking_the_first_row_is_named(tmp_path: Path) -> None:
    net = nets.chain(1)
    net.op("Gather", "first_row", "relu0", net.constant("zero", np.array([0], np.int64)), axis=0)
    net.op("Add", "end", "relu0", "first_row")
    assert "Gather node 'first_row'" in refused(net, tmp_path, "end")


def test_a_batch_elsewhere_is_refused(tmp_path: Path) -> None:
    net = nets.chain(1)
    net.op("Transpose", "turned", "relu0", perm=[1, 0, 2, 3])
    net.op("Reshape", "flat", "turned", net.constant("target", np.array([-1, 8], np.int64)))
    assert "Reshape node 'flat'" in refused(net, tmp_path, "flat")
    state = nets.Net()
    state.op("Relu", "end", state.input("state", 2, "batch", 8))
    assert "input 'state' has 2 in front" in refused(state, tmp_path, "end")
    twice = nets.Net()
    twice.op("MatMul", "end", twice.input("x", "batch", 8), twice.input("y", 8, "batch", "batch"))
    assert "of input 'y' is the batch 'batch'" in refused(twice, tmp_path, "end")


def test_a_scalar_wants_binding_and_binding_folds_it(tmp_path: Path) -> None:
    net = nets.chain(1)
    net.op("Mul", "end", "relu0", net.input("gain"))
    assert "--bind gain=" in refused(net, tmp_path, "end")
    bound = analyse(tmp_path / "net.onnx", SliceOptions(stages=1, threads=1, bind={"gain": 0.5}))
    assert bound.graph.inputs == ("x",)
    assert "bind names 'loudness'" in refused(
        net, tmp_path, "end", options=SliceOptions(stages=1, bind={"loudness": 1})
    )


def test_a_fixed_batch_is_freed_or_refused_by_node(tmp_path: Path) -> None:
    net = nets.chain(1, batch=1)
    net.op("Reshape", "flat", "relu0", net.constant("target", np.array([1, -1], np.int64)))
    found = analyse(net.write(tmp_path / "net.onnx", "flat"), OPTIONS)
    assert found.probe.tensors["flat"].dims == ("N", 256)
    stuck = nets.chain(1, batch=1)
    stuck.op("Reshape", "stuck", "relu0", stuck.constant("target", np.array([4, 64], np.int64)))
    stuck.op("Tanh", "end", "stuck")
    assert "Reshape node 'stuck' takes one row but not 3 at once" in refused(stuck, tmp_path, "end")


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def asked(shape: tuple[int, ...], name: str = "x") -> str:
        return refused(nets.chain(1), tmp_path, "relu0", options=SliceOptions(stages=1, shapes={name: shape}))

    assert "3 dimensions, the model has 4" in asked((1, 4, 8))
    assert "the model fixes it to 8" in asked((1, 4, 8, 9))
    assert "shapes names 'y'" in asked((1, 4, 8, 8), "y")
    with pytest.raises(ValueError, match="write it as 1"):
        asked((2, 4, 8, 8))


def test_sizes_that_depend_on_the_data_are_named(tmp_path: Path) -> None:
    net = nets.chain(1)
    net.op("NonZero", "found", "relu0")
    net.op("Cast", "end", "found", to=1)
    told = refused(net, tmp_path, "end")
    assert "NonZero node 'found' writes 'found' in a size that depends on the data" in told
    assert "'end' cannot be batched" in told


def test_the_first_of_the_nodes_that_mix_is_named_among_many(tmp_path: Path) -> None:
    net = nets.chain(1)
    data = "relu0"
    for index in range(30):
        data = net.op("Tanh", f"tanh{index}", data)
    net.op("CumSum", "running", data, net.constant("axis", np.array(0, np.int64)))
    net.op("Tanh", "end", "running")
    assert "CumSum node 'running' makes the rows of a batch depend" in refused(net, tmp_path, "end")


def test_roundings_of_a_saturated_sigmoid_are_no_mixing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batched kernel answers another rounding of 1: that is much, beside values that lie far below 1."""
    net = nets.chain(1)
    low = net.op("Sub", "low", "relu0", net.constant("far", np.array(14, np.float32)))
    net.op("Mul", "end", net.op("Sigmoid", "gate", low), net.constant("large", np.array(1e4, np.float32)))
    source = net.write(tmp_path / "net.onnx", "end")

    class Rounding(Session):
        def run(self, feeds: Mapping[str, Array]) -> Values:
            found = super().run(feeds)
            if "gate" in found and len(found["gate"]) > 1:
                error = found["gate"].dtype.type(1e-7)
                found["gate"] = found["gate"] + error
                if "end" in found:
                    found["end"] = found["end"] + error * np.float32(1e4)
            return found

    monkeypatch.setattr(probe, "Session", Rounding)
    tensors = analyse(source, OPTIONS).probe.tensors
    assert tensors["gate"].kind is tensors["end"].kind is Kind.BATCH
    assert tensors["gate"].bytes_per_row == 4 * 8 * 8 * 4


def test_quantisation_that_couples_rows_is_warned_of(tmp_path: Path) -> None:
    net = nets.chain(1)
    net.op("DynamicQuantizeLinear", "quantised", "relu0")
    net.nodes[-1].output.extend(["scale", "zero"])
    net.op("DequantizeLinear", "back", "quantised", "scale", "zero")
    said: list[str] = []
    found = analyse(net.write(tmp_path / "net.onnx", "back"), OPTIONS, said.append)
    assert found.probe.coupled_by == ("quantised",)
    assert any("warning: DynamicQuantizeLinear" in line for line in said)
