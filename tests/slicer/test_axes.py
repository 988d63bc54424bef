"""A batch on another axis is brought to the front, outside the model only; where it cannot be told, it is asked for."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from slicer import SliceError, SliceOptions, slice_model, verify
from slicer.axes import batch_first, input_axes
from slicer.load import load_model
from slicer.plan import analyse
from slicer.sessions import Session
from tests.cli.command import dvabatch, refused
from tests.slicer import nets

OPTIONS = SliceOptions(stages=3, threads=1, max_batch=2)
LAYERS, WIDTH = 2, 8


def recurrent(batch: nets.Dim = "batch", front: nets.Dim = LAYERS) -> nets.Net:
    """An LSTM-like step: a window, and a state of [layers, batch, width] that goes in and comes out."""
    net = nets.Net()
    data = net.input("window", batch, WIDTH)
    net.input("state", front, batch, WIDTH)
    # Read early in the file, needed late: the state is turned where it is read, and crosses cuts as it came.
    net.op("Gather", "memory", "state", net.constant("first", np.array(0, np.int64)), axis=0)
    for index in range(3):
        data = net.op("Tanh", f"tanh{index}", net.dense(f"dense{index}", data, WIDTH, WIDTH))
    mixed = net.op("Tanh", "mixed", net.op("Add", "sum", data, "memory"))
    net.op("Unsqueeze", "layer", mixed, net.constant("axes", np.array([0], np.int64)))
    net.op("Mul", "next_state", "layer", net.op("Sigmoid", "gate", "state"))
    net.op("Relu", "answer", mixed)
    return net


@pytest.mark.parametrize("batch", ["batch", 1])
def test_a_state_is_sliced_with_its_batch_in_front(tmp_path: Path, batch: nets.Dim) -> None:
    source = recurrent(batch).write(tmp_path / "net.onnx", "answer", "next_state")
    before = source.read_bytes()
    said: list[str] = []
    manifest = slice_model(source, tmp_path / "out", OPTIONS, said.append)
    assert source.read_bytes() == before
    shapes = {spec.name: spec.shape for spec in (*manifest.inputs, *manifest.outputs)}
    assert shapes["state"] == shapes["next_state"] == ("N", LAYERS, WIDTH)
    assert "the model takes 'state' with its batch on axis 1: its stages have it in front" in said
    assert "the model answers 'next_state' with its batch on axis 1: its stages have it in front" in said
    assert verify(tmp_path / "out", threads=1).passed
    assert any("state" in {spec.name for spec in stage.inputs} for stage in manifest.stages[1:])

    # What lies beside the stages takes and gives what they do, and computes what the source does.
    random = np.random.default_rng(0)
    rows = 1 if batch == 1 else 3
    feeds = {
        "window": random.standard_normal((rows, WIDTH)).astype(np.float32),
        "state": random.standard_normal((rows, LAYERS, WIDTH)).astype(np.float32),
    }
    beside = Session(tmp_path / "out" / "model.onnx", threads=1).run(feeds)
    feeds["state"] = np.ascontiguousarray(feeds["state"].swapaxes(0, 1))
    wanted = Session(source, threads=1).run(feeds)
    np.testing.assert_array_equal(beside["answer"], wanted["answer"])
    np.testing.assert_array_equal(beside["next_state"].swapaxes(0, 1), wanted["next_state"])


def test_a_batch_written_without_a_name_is_found_or_asked_for(tmp_path: Path) -> None:
    model = recurrent().model("answer", "next_state")
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    assert input_axes(model, {}) == {"state": 1}  # axis 0 has a fixed size, one other is open
    assert input_axes(recurrent(front="layers").model("answer"), {}) == {"state": 1}  # by the batch's name
    model.graph.input[1].type.tensor_type.shape.dim[2].ClearField("dim_value")
    assert input_axes(model, {}) == {}  # two are open
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(SliceError, match=re.escape("'state' has 2 in front, wanted a free batch there: say on which")):
        analyse(tmp_path / "net.onnx", OPTIONS)
    options = SliceOptions(
        stages=1, threads=1, max_batch=2, batch_axes={"state": 1}, shapes={"state": (1, LAYERS, WIDTH)}
    )
    assert analyse(tmp_path / "net.onnx", options).moved == {"state": 1, "next_state": 1}


def test_wrong_axes_and_names_are_refused(tmp_path: Path) -> None:
    source = recurrent().write(tmp_path / "net.onnx", "answer", "next_state")
    with pytest.raises(SliceError, match="'window' has 8 in front"):
        analyse(source, SliceOptions(stages=1, threads=1, batch_axes={"window": 1}))
    with pytest.raises(SliceError, match=r"batch_axes names 'memory', the model has 'window', 'state', 'answer'"):
        analyse(source, SliceOptions(stages=1, batch_axes={"memory": 1}))
    with pytest.raises(SliceError, match=r"gives 'state' axis 3, its last axis is 2"):
        analyse(source, SliceOptions(stages=1, batch_axes={"state": 3}))
    with pytest.raises(ValueError, match=r"batch_axes\['state'\] is -1"):
        SliceOptions(stages=1, batch_axes={"state": -1})


def test_a_name_is_changed_in_subgraphs_that_capture_it_and_not_where_it_is_their_own() -> None:
    def branch(kind: str, own: bool) -> onnx.GraphProto:
        nodes = [helper.make_node("Identity", ["weights"], ["state"])] if own else []
        nodes.append(helper.make_node(kind, ["state"], [f"{kind}_out"]))
        answer = helper.make_tensor_value_info(f"{kind}_out", TensorProto.FLOAT, None)
        return helper.make_graph(nodes, kind, [], [answer])

    net = nets.Net()
    net.constant("weights", np.ones(3, np.float32))
    net.input("state", 2, "batch")
    net.op("If", "end", net.input("flag"), then_branch=branch("Neg", False), else_branch=branch("Abs", True))
    model = net.model("end")
    batch_first(model, {"state": 1}, {"state": 2})
    reads = {graph.name: graph.node[-1].input[0] for graph in (a.g for a in model.graph.node[-1].attribute)}
    assert reads == {"Neg": "state/as_exported", "Abs": "state"}
    assert model.graph.node[0].op_type == "Transpose"
    with pytest.raises(SliceError, match="has a tensor 'state/as_exported' already"):
        batch_first(model, {"state": 1}, {"state": 2})


def test_a_time_major_answer_is_turned(tmp_path: Path) -> None:
    net = nets.chain(2)
    net.op("Transpose", "turned", "relu1", perm=[2, 3, 0, 1])
    source = net.write(tmp_path / "net.onnx", "turned")
    manifest = slice_model(source, tmp_path / "out", OPTIONS)
    assert manifest.outputs[0].shape == ("N", 8, 8, 4)
    assert verify(tmp_path / "out", threads=1).passed
    assert [value.name for value in load_model(tmp_path / "out" / "model.onnx").graph.output] == ["turned"]


def test_the_command_takes_axes(tmp_path: Path) -> None:
    model = recurrent().model("answer", "next_state")
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    onnx.save(model, tmp_path / "net.onnx")
    asked = ("slice", tmp_path / "net.onnx", "--stages", "2", "--max-batch", "2", "-o", tmp_path / "out")
    assert "--batch-axis 'state' is no axis" in refused(2, *asked, "--batch-axis", "state")
    assert dvabatch(*asked, "--batch-axis", "state=1", "--threads", "1").code == 0
