"""What crosses a cut: skips, captures of subgraphs, early answers; never a tensor that shapes alone decide."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from slicer.extract import extract
from slicer.options import SliceOptions
from slicer.plan import Analysis, analyse
from slicer.probe import Kind
from slicer.sessions import Session
from tests.slicer import nets


def test_a_skip_is_carried_until_it_is_read(analyses: dict[str, Analysis]) -> None:
    found = analyses["skipping"]
    last = found.frontier.cuts[-2]
    assert "first" in last.carried
    # "early" is an answer by then: alive, though nobody reads it.
    carried = sum(found.probe.tensors[name].bytes_per_row for name in last.carried)
    assert last.alive_bytes_per_row == carried + found.probe.tensors["early"].bytes_per_row
    assert found.frontier.cuts[-1].carried == frozenset()


def test_shape_tensors_never_cross_and_one_of_equal_shape_stands_in(analyses: dict[str, Analysis]) -> None:
    found = analyses["attention"]
    kinds = {found.probe.tensors[name].kind for cut in found.frontier.cuts for name in cut.carried}
    assert kinds == {Kind.BATCH}
    assert len(found.frontier.legal) == len(found.graph.data_nodes) - 1
    # Nothing has the shape of "ids" but "ids" itself, so it travels for its shape's sake as long as one is computed.
    assert "ids" in found.frontier.cuts[5].carried


def test_an_equal_shape_stands_in(tmp_path: Path) -> None:
    net = nets.chain(2)
    net.op("Shape", "measured", "relu0")
    net.op("Expand", "wide", net.constant("one", np.ones(1, np.float32)), "measured")
    net.op("Add", "end", "relu1", "wide")
    found = analyse(net.write(tmp_path / "net.onnx", "end"), SliceOptions(stages=2, threads=1))
    last = found.frontier.cuts[-2]
    assert last.carried == {"relu1"}
    assert dict(last.stand_ins) == {"relu0": "relu1"}
    pieces = [
        extract(found.graph, found.probe.tensors, found.frontier.cuts[0], last),
        extract(found.graph, found.probe.tensors, last, found.frontier.cuts[-1]),
    ]
    assert pieces[1].inputs == ("relu1",)
    table = {"x": np.random.default_rng(0).standard_normal((3, 4, 8, 8)).astype(np.float32)}
    whole = Session(found.graph.model.SerializeToString(), threads=1).run(table)["end"]
    for piece in pieces:
        session = Session(piece.model.SerializeToString(), threads=1)
        table.update(session.run({name: table[name] for name in piece.inputs}))
    np.testing.assert_allclose(table["end"], whole, rtol=1e-5, atol=1e-5)


def test_captures_of_subgraphs_are_carried(tmp_path: Path) -> None:
    net = nets.chain(3)

    def branch(kind: str) -> onnx.GraphProto:
        node = helper.make_node(kind, ["relu0"], [f"{kind}_out"])
        answer = helper.make_tensor_value_info(f"{kind}_out", TensorProto.FLOAT, None)
        return helper.make_graph([node], kind, [], [answer])

    net.op("Shape", "measured", "x")
    net.op("Gather", "height", "measured", net.constant("two", np.array(2, np.int64)))
    net.op("Greater", "tall", "height", net.constant("limit", np.array(3, np.int64)))
    net.op("If", "chosen", "tall", then_branch=branch("Neg"), else_branch=branch("Abs"))
    net.op("Add", "end", "relu2", "chosen")
    model = net.model("end")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"  # so that folding keeps the If
    onnx.save(model, tmp_path / "net.onnx")
    found = analyse(tmp_path / "net.onnx", SliceOptions(stages=2, threads=1))
    assert any(node.op == "If" for node in found.graph.nodes)
    after_chain = next(cut for cut in found.frontier.cuts if cut.position == 5)
    assert {"relu0"} < after_chain.carried
