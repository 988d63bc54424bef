"""Folding makes fewer nodes of the same answers, and is left out where it would leave standard ONNX."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from slicer import SliceOptions, fold, slice_model, verify
from slicer.load import normalise
from slicer.sessions import Session
from tests.slicer import nets
from tests.slicer.hooked import HookedSession


def doubled() -> onnx.ModelProto:
    """Arithmetic on constants, and an Identity: four nodes that fold into two."""
    net = nets.Net()
    data = net.op("Identity", "same", net.input("x", "batch", 4))
    for name, value in (("one", 1.0), ("three", 3.0)):
        net.constant(name, np.array([value], np.float32))
    net.op("Add", "four", "one", "three")
    net.op("Relu", "end", net.op("Mul", "scaled", data, "four"))
    return normalise(net.model("end"))


def folding_into(domain: str, kind: str) -> type[Session]:
    """Sessions that fold like ONNX Runtime, and write the last operator as another one."""

    class Folding(HookedSession):
        def opened(self, model: bytes | Path, folded_to: Path | None) -> None:
            assert folded_to is not None
            folded = onnx.load(folded_to)
            folded.graph.node[-1].domain, folded.graph.node[-1].op_type = domain, kind
            onnx.save(folded, folded_to)

    return Folding


def test_constants_and_identities_go_and_answers_stay() -> None:
    model = doubled()
    row = {"x": np.array([[1.0, -2.0, 3.0, 0.5]], np.float32)}
    wanted = Session(model.SerializeToString(), threads=1).run(row)
    folded = fold.fold(model, 1, pytest.fail)
    assert [node.op_type for node in folded.graph.node] == ["Mul", "Relu"]
    found = Session(folded.SerializeToString(), threads=1).run(row)
    np.testing.assert_array_equal(found["end"], wanted["end"])
    np.testing.assert_array_equal(found["end"], [[4.0, 0.0, 12.0, 2.0]])


@pytest.mark.parametrize(
    ("domain", "kind", "named"),
    [("com.microsoft", "QuickGelu", "com.microsoft.QuickGelu"), ("", "Gelu", "Gelu (not in version 17)")],
)
def test_folding_into_foreign_operators_is_left_out(
    monkeypatch: pytest.MonkeyPatch, domain: str, kind: str, named: str
) -> None:
    monkeypatch.setattr(fold, "Session", folding_into(domain, kind))
    model = doubled()
    said: list[str] = []
    assert fold.fold(model, 1, said.append) is model
    assert said == [f"not folded: ONNX Runtime would write {named}, which is not in the model's ONNX version"]


def test_a_model_that_is_not_folded_is_sliced_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fold, "Session", folding_into("com.microsoft", "QuickGelu"))
    net = nets.chain(2)
    net.op("Identity", "same", "relu1")
    net.op("Tanh", "end", "same")
    source = net.write(tmp_path / "net.onnx", "end")
    said: list[str] = []
    manifest = slice_model(source, tmp_path / "out", SliceOptions(stages=2, threads=1, max_batch=2), said.append)
    assert any(line.startswith("not folded: ") for line in said)
    assert sum(stage.nodes for stage in manifest.stages) == 6  # the Identity too
    assert verify(tmp_path / "out", threads=1).passed
