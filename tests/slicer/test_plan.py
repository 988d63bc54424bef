"""Whole slices: small networks, and two real models of other people's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from slicer import Manifest, SliceError, SliceOptions, payoff, plan, read_manifest, segments, slice_model, verify
from slicer.load import sha256_of
from slicer.plan import Analysis, analyse, choose_cuts
from slicer.sessions import Session
from tests.slicer import nets
from tests.slicer.clock import Clock, session_on

ONE_THREAD = SliceOptions(stages=3, threads=1, max_batch=4)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time real models a few times only: these tests are about other things than which plan is chosen."""
    for module, name in ((segments, "BUDGET_S"), (segments, "WHOLE_S"), (plan, "STAGES_S")):
        monkeypatch.setattr(module, name, 0.1)


def check(manifest: Manifest, out: Path, source: Path) -> None:
    assert read_manifest(out) == manifest
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["model.onnx", "stages.json", *(stage.file for stage in manifest.stages)]
    )
    assert (out / "model.onnx").read_bytes() == source.read_bytes()
    known = {spec.name: spec for spec in manifest.inputs}
    for stage in manifest.stages:
        model = onnx.load(out / stage.file)
        onnx.checker.check_model(model)
        assert {value.name for value in model.graph.input} == {spec.name for spec in stage.inputs}
        assert {value.name for value in model.graph.output} == {spec.name for spec in stage.outputs}
        assert len(model.graph.node) == stage.nodes
        assert sha256_of(out / stage.file) == stage.sha256
        assert all(known[spec.name] == spec for spec in stage.inputs)
        known.update((spec.name, spec) for spec in stage.outputs)
        assert stage.favored_batch in stage.latency_ms
    assert all(stage.crossing_bytes_per_row > 0 for stage in manifest.stages[:-1])
    assert manifest.stages[-1].crossing_bytes_per_row == 0


def test_a_skip_and_an_early_answer(tmp_path: Path) -> None:
    source = nets.skipping().write(tmp_path / "skipping.onnx", "late", "early")
    manifest = slice_model(source, tmp_path / "out", ONE_THREAD)
    check(manifest, tmp_path / "out", source)
    assert manifest.name == "skipping"
    assert [spec.name for spec in manifest.outputs] == ["late", "early"]
    assert "first" in {spec.name for spec in manifest.stages[-1].inputs}
    assert sorted(manifest.stages[0].latency_ms) == [1, 2, 4]


def test_slicing_again_replaces_what_was_there(tmp_path: Path) -> None:
    source = nets.chain().write(tmp_path / "chain.onnx", "relu3")
    slice_model(source, tmp_path / "out", ONE_THREAD)
    manifest = slice_model(source, tmp_path / "out", SliceOptions(stages=1, threads=1))
    check(manifest, tmp_path / "out", source)
    again = slice_model(tmp_path / "out" / "model.onnx", tmp_path / "out", SliceOptions(stages=2, threads=1))
    check(again, tmp_path / "out", source)


def test_too_many_stages_are_refused_with_the_largest_number(tmp_path: Path) -> None:
    source = nets.chain(2).write(tmp_path / "chain.onnx", "relu1")
    with pytest.raises(SliceError, match="9 stages were asked, this model has at most 4"):
        slice_model(source, tmp_path / "out", SliceOptions(stages=9, threads=1))
    assert not (tmp_path / "out" / "stages.json").exists()
    manifest = slice_model(source, tmp_path / "out", SliceOptions(stages=4, threads=1))
    assert [stage.nodes for stage in manifest.stages] == [1, 1, 1, 1]


def test_a_failed_slice_leaves_the_old_one_whole(tmp_path: Path) -> None:
    source = nets.chain().write(tmp_path / "chain.onnx", "relu3")
    manifest = slice_model(source, tmp_path / "out", ONE_THREAD)
    with pytest.raises(SliceError):
        slice_model(source, tmp_path / "out", SliceOptions(stages=99, threads=1))
    check(manifest, tmp_path / "out", source)


def test_a_model_for_one_row_is_sliced_for_many(tmp_path: Path) -> None:
    source = nets.chain(batch=1).write(tmp_path / "chain.onnx", "relu3")
    manifest = slice_model(source, tmp_path / "out", ONE_THREAD)
    check(manifest, tmp_path / "out", source)
    assert manifest.inputs[0].shape == ("N", 4, 8, 8)


def old_export() -> onnx.ModelProto:
    """As of 2018: ONNX 9, ir 3, initializers among the inputs, weights made by ConstantOfShape, one row, a softmax."""
    net = nets.chain(2, batch=1)
    net.constant("bias_shape", np.array([4], np.int64))
    scale = numpy_helper.from_array(np.array([0.5], np.float32))
    bias = net.op("ConstantOfShape", "bias", "bias_shape", value=scale)
    weights = net.constant("second.w", np.random.default_rng(5).standard_normal((4, 4, 1, 1)).astype(np.float32))
    data = net.op("Conv", "second", "relu1", weights, bias)
    flat = net.op("Reshape", "flat", data, net.constant("flat_shape", np.array([1, 256], np.int64)))
    net.op("Softmax", "end", flat, axis=1)
    model = net.model("end")
    model.ir_version = 3
    model.opset_import[0].version = 9
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in (1, 256):
        model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=size)
    onnx.checker.check_model(model)
    return model


def test_an_old_export_is_sliced(tmp_path: Path) -> None:
    source = tmp_path / "old.onnx"
    onnx.save(old_export(), source)
    manifest = slice_model(source, tmp_path / "out", ONE_THREAD)
    check(manifest, tmp_path / "out", source)
    assert [spec.name for spec in manifest.inputs] == ["x"]
    assert manifest.outputs[0].shape == ("N", 256)
    assert verify(tmp_path / "out", batches=(2, 5), threads=1).passed


def test_a_scalar_chooses_a_branch_and_is_gone(tmp_path: Path) -> None:
    """What `--bind rate=16000` is for: the If folds away, and what its branch captured is carried like the rest."""
    net = nets.chain(2)

    def branch(kind: str) -> onnx.GraphProto:
        node = helper.make_node(kind, ["relu0"], [f"{kind}_out"])
        return helper.make_graph(
            [node], kind, [], [helper.make_tensor_value_info(f"{kind}_out", TensorProto.FLOAT, None)]
        )

    net.input("rate", element=TensorProto.INT64)
    net.op("Equal", "high", "rate", net.constant("sixteen", np.array(16000, np.int64)))
    net.op("If", "chosen", "high", then_branch=branch("Neg"), else_branch=branch("Abs"))
    net.op("Add", "end", "relu1", "chosen")
    source = net.write(tmp_path / "net.onnx", "end")
    for rate, kind in ((16000, "Neg"), (8000, "Abs")):
        options = SliceOptions(stages=2, threads=1, max_batch=2, bind={"rate": rate})
        manifest = slice_model(source, tmp_path / "out", options)
        assert manifest.bind == {"rate": rate}
        assert [spec.name for spec in manifest.inputs] == ["x"]
        nodes = [node for stage in manifest.stages for node in onnx.load(tmp_path / "out" / stage.file).graph.node]
        assert kind in {node.op_type for node in nodes}
        assert "If" not in {node.op_type for node in nodes}
        assert verify(tmp_path / "out", threads=1).passed


def test_answers_that_never_change_prove_nothing_and_are_refused_early(tmp_path: Path) -> None:
    net = nets.chain(2)
    net.op("Mul", "end", "relu1", net.constant("nothing", np.array(0, np.float32)))
    source = net.write(tmp_path / "net.onnx", "end")
    said: list[str] = []
    with pytest.raises(SliceError, match="no answer of the model changes between requests"):
        slice_model(source, tmp_path / "out", ONE_THREAD, said.append)
    assert not any(line.startswith("timed") for line in said)
    unproved = SliceOptions(stages=2, threads=1, max_batch=2, verify=False)
    assert len(slice_model(source, tmp_path / "out", unproved).stages) == 2


def test_the_source_is_linked_where_it_can_be(tmp_path: Path) -> None:
    source = nets.chain().write(tmp_path / "chain.onnx", "relu3")
    slice_model(source, tmp_path / "out", SliceOptions(stages=1, threads=1))
    assert source.samefile(tmp_path / "out" / "model.onnx")


def test_ocr_detector(ocr_detector: Path, tmp_path: Path, hurried: None) -> None:
    options = SliceOptions(stages=4, shapes={"x": (1, 3, 320, 320)}, max_batch=2)
    manifest = slice_model(ocr_detector, tmp_path / "out", options)
    check(manifest, tmp_path / "out", ocr_detector)
    assert manifest.shapes == {"x": (1, 3, 320, 320)}
    assert manifest.inputs[0].shape == ("N", 3, 320, 320)
    assert sum((tmp_path / "out" / stage.file).stat().st_size for stage in manifest.stages) < 1.02 * (
        ocr_detector.stat().st_size
    )
    # An encoder and decoder: skips are alive at some cut.
    assert max(len(stage.inputs) for stage in manifest.stages) > 1


def test_mini_lm_keeps_its_sequence_free(mini_lm: Path, tmp_path: Path, hurried: None) -> None:
    manifest = slice_model(mini_lm, tmp_path / "out", SliceOptions(stages=4, max_batch=2))
    check(manifest, tmp_path / "out", mini_lm)
    assert manifest.inputs[0].shape == ("N", "sequence_length")
    assert {spec.name for spec in manifest.outputs} == {"output", "463", "onnx::Shape_422", "461"}
    assert manifest.stages[-1].inputs[-1].shape[1] == "sequence_length"
    whole, parts = mini_lm.stat().st_size, [(tmp_path / "out" / stage.file).stat().st_size for stage in manifest.stages]
    assert sum(parts) < 1.02 * whole
    assert verify(tmp_path / "out", batches=(2, 5), seed=9).passed


def test_sessions_say_which_model_they_cannot_load(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    with pytest.raises(SliceError, match="cannot load the model"):
        Session(tmp_path / "bad.onnx", threads=1)


def blocks(blocks: int) -> nets.Net:
    """Residual blocks of three convolutions: between two of them half as much is carried as inside one."""
    net = nets.Net()
    data = net.input("x", "batch", 4, 8, 8)
    for index in range(blocks):
        inside = data
        for part in range(3):
            inside = net.conv(f"conv{index}{part}", inside, (4, 4))
        data = net.op("Add", f"sum{index}", inside, data)
    net.op("Relu", "end", data)
    return net


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    path = blocks(13).write(tmp_path_factory.mktemp("residual") / "net.onnx", "end")
    return analyse(path, SliceOptions(stages=4, threads=1))


def choice(
    found: Analysis, middle: Sequence[int], boundary_us: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], list[str]]:
    """Where "auto" cuts, and what it says, when the convolutions of the blocks in `middle` take as long for a batch as for
    a row, and all others ten times as long for ten rows."""

    def in_middle(node: onnx.NodeProto) -> bool:
        return node.op_type == "Conv" and int(node.name.removeprefix("conv")[:-1]) in middle

    def row_s(node: onnx.NodeProto) -> float:
        return 0.0 if in_middle(node) else {"Conv": 1e-4}.get(node.op_type, 1e-5)

    clock, said = Clock(), list[str]()
    with monkeypatch.context() as patch:
        patch.setattr(segments, "Session", session_on(clock, row_s, lambda node: 4e-4 * in_middle(node)))
        options = SliceOptions(stages="auto", threads=1, max_batch=8, boundary_us=boundary_us)
        return [cut.position for cut in choose_cuts(found, options, said.append, clock)][1:-1], said


def test_as_many_stages_as_pay(residual: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts, said = choice(residual, (), 0.0, monkeypatch)
    assert cuts == []  # what favours alike is left whole
    assert any("chose 1, " in line for line in said)
    cuts, said = choice(residual, range(5, 9), 0.0, monkeypatch)
    assert 1 <= len(cuts) < payoff.MOST_STAGES
    assert cuts[-1] >= 36  # behind the middle, whose last block ends there
    assert any(f"chose {len(cuts) + 1}, " in line for line in said)
    assert choice(residual, range(5, 9), 1e5, monkeypatch)[0] == []


def test_a_real_network_gets_a_number_of_its_own(tmp_path: Path) -> None:
    source = nets.chain(6).write(tmp_path / "chain.onnx", "relu5")
    said: list[str] = []
    for boundary_us in (0.0, 1e6):
        options = SliceOptions(stages="auto", threads=1, max_batch=4, boundary_us=boundary_us)
        manifest = slice_model(source, tmp_path / "out", options, said.append)
        check(manifest, tmp_path / "out", source)
        assert 1 <= len(manifest.stages) <= payoff.MOST_STAGES
    assert len(manifest.stages) == 1  # no batch wins back a second
    assert sum("in one stage" in line for line in said) == 2


def test_a_network_that_cannot_be_cut_is_one_stage(tmp_path: Path) -> None:
    net = nets.Net()
    net.op("Relu", "end", net.input("x", "batch", 4))
    source = net.write(tmp_path / "net.onnx", "end")
    manifest = slice_model(source, tmp_path / "out", SliceOptions(stages="auto", threads=1, max_batch=2))
    assert len(manifest.stages) == 1


@pytest.mark.parametrize("wrong", [{"stages": 0}, {"stages": True}, {"stages": "few"}, {"boundary_us": -1.0}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        SliceOptions(**{"stages": "auto", **wrong})


def positions(found: Analysis, clock: Clock, slow: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the plan cuts, when the convolutions of blocks from `slow` on take four times their due."""

    def cost_s(node: onnx.NodeProto) -> float:
        late = node.op_type == "Conv" and int(node.name.removeprefix("conv")[:-1]) >= slow
        return {"Conv": 4e-4 if late else 1e-4}.get(node.op_type, 1e-5)

    with monkeypatch.context() as patch:
        patch.setattr(segments, "Session", session_on(clock, cost_s))
        options = SliceOptions(stages=4, threads=1, max_batch=4)
        return [cut.position for cut in choose_cuts(found, options, lambda _: None, clock)]


@pytest.mark.parametrize(("slow", "wanted"), [(13, [0, 14, 28, 40, 53]), (8, [0, 24, 36, 44, 53])])
def test_same_file_same_plan(residual: Analysis, slow: int, wanted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the estimate is right (no block is slow) or the measurement has to say otherwise."""
    assert positions(residual, Clock(), slow, monkeypatch) == wanted

    @given(st.integers(0, 2**32), st.floats(0.0, 0.2), st.floats(0.0, 0.3))
    @settings(deadline=None, max_examples=12, derandomize=True)
    def noise_changes_nothing(seed: int, jitter: float, busy: float) -> None:
        random = np.random.default_rng(seed)
        # Now and then something else runs for a while, and takes half of the machine or more.
        bursts = np.repeat(random.random(1000) < busy, 20)

        def slow_down(call: int) -> float:
            return (1 + jitter * random.random()) * (2 + random.random() if bursts[call % len(bursts)] else 1)

        assert positions(residual, Clock(slow_down), slow, monkeypatch) == wanted

    noise_changes_nothing()
