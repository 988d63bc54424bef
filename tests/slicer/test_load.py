"""Files that are no models are refused in a sentence; models come out in normal form."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from slicer.errors import SliceError
from slicer.load import load_model, normalise
from tests.slicer import nets


def test_missing_folder_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SliceError, match="does not exist"):
        load_model(tmp_path / "no.onnx")
    with pytest.raises(SliceError, match="is a folder"):
        load_model(tmp_path)
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(SliceError, match="no operators"):
        load_model(tmp_path / "empty.onnx")
    (tmp_path / "text.onnx").write_text("not a model at all")
    with pytest.raises(SliceError, match=r"no complete ONNX file|no operators"):
        load_model(tmp_path / "text.onnx")


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = nets.chain().write(tmp_path / "chain.onnx", "relu3")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(SliceError, match="may be truncated"):
        load_model(path)


def test_normal_form_orders_nodes_names_them_and_drops_constant_inputs() -> None:
    model = nets.chain().model("relu3")
    shuffled = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(model.graph.node)]
    for node in shuffled:
        node.name = "same"
    del model.graph.node[:]
    model.graph.node.extend(shuffled)
    model.graph.input.append(helper.make_tensor_value_info("conv0.w", TensorProto.FLOAT, [4, 4, 3, 3]))
    model.ir_version = 3
    normal = normalise(model)
    assert [node.output[0] for node in normal.graph.node][:3] == ["conv0", "relu0", "conv1"]
    assert len({node.name for node in normal.graph.node}) == 8
    assert [value.name for value in normal.graph.input] == ["x"]
    assert normal.ir_version == 8


def test_circles_and_unwritten_tensors_are_refused() -> None:
    circle = nets.Net()
    circle.input("x", "batch", 2)
    circle.op("Add", "a", "x", "b")
    circle.op("Relu", "b", "a")
    with pytest.raises(SliceError, match="wait for each other"):
        normalise(circle.model("b"))
    loose = nets.Net()
    loose.input("x", "batch", 2)
    loose.op("Add", "a", "x", "nowhere")
    with pytest.raises(SliceError, match="'nowhere', which nothing writes"):
        normalise(loose.model("a"))
