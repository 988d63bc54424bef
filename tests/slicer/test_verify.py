"""Verification finds what is wrong, each kind of wrong once."""

import dataclasses
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from slicer import ManifestError, SliceError, SliceOptions, read_manifest, slice_model, verify, write_manifest
from slicer.load import sha256_of
from slicer.probe import TOGETHER
from slicer.samples import Values
from slicer.sessions import Session
from slicer.verify import relative_error
from tests.slicer import nets

verification = sys.modules["slicer.verify"]  # the package hands out the function under this name


@pytest.fixture(scope="module")
def sliced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    model = nets.skipping().write(folder / "skipping.onnx", "late", "early")
    slice_model(model, folder / "out", SliceOptions(stages=3, threads=1))
    return folder / "out"


def test_a_good_slice_passes(sliced: Path) -> None:
    result = verify(sliced)
    assert result.passed
    assert result.failures == ()
    assert result.max_rel_error <= 1e-5
    assert result.regroup_error <= 1e-5
    assert result.unmatched == ()
    assert min(result.sensitivity.values()) > 0.01


def test_a_stage_with_other_weights_fails(sliced: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(sliced, out)
    manifest = read_manifest(out)
    path = out / manifest.stages[1].file
    model = onnx.load(path)
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights.reshape(-1)[0] += 0.5
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, model.graph.initializer[0].name))
    path.unlink()
    onnx.save(model, path)
    with pytest.raises(ManifestError, match="sha256 differs"):
        verify(out)
    stages = list(manifest.stages)
    stages[1] = dataclasses.replace(stages[1], sha256=sha256_of(path))
    write_manifest(dataclasses.replace(manifest, stages=tuple(stages)), out)
    result = verify(out)
    assert not result.passed
    assert result.max_rel_error > 1e-3
    path.unlink()
    with pytest.raises(ManifestError, match="missing"):
        verify(out)


def test_an_answer_that_never_changes_proves_nothing(tmp_path: Path) -> None:
    net = nets.chain(2)
    net.op("Mul", "off", "relu1", net.constant("zero", np.zeros(1, np.float32)))
    net.op("Add", "end", "off", net.constant("one", np.ones(1, np.float32)))
    model = net.write(tmp_path / "net.onnx", "end")
    with pytest.raises(SliceError, match="would prove nothing"):
        slice_model(model, tmp_path / "out", SliceOptions(stages=2, threads=1))
    assert list((tmp_path / "out").iterdir()) == []


def test_answers_that_are_not_finite_fail(tmp_path: Path) -> None:
    net = nets.chain(1)
    net.op("Log", "end", net.op("Sub", "below", "relu0", net.constant("one", np.ones(1, np.float32))))
    model = net.write(tmp_path / "net.onnx", "end")
    with pytest.raises(SliceError, match="not finite"):
        slice_model(model, tmp_path / "out", SliceOptions(stages=1, threads=1))


def crowded() -> nets.Net:
    """Rows that see each other as soon as there are more than `TOGETHER` of them: the probe cannot notice."""
    net = nets.chain(2)
    net.op("Shape", "measured", "relu1", end=1)
    net.op("Greater", "many", "measured", net.constant("limit", np.array([len(TOGETHER)], np.int64)))
    net.op("ReduceMean", "over_rows", "relu1", axes=[0], keepdims=1)
    net.op("Where", "end", "many", net.op("Sub", "centred", "relu1", "over_rows"), "relu1")
    return net


def test_answers_that_change_when_batches_are_regrouped_fail(tmp_path: Path) -> None:
    model = crowded().write(tmp_path / "net.onnx", "end")
    options = SliceOptions(stages=2, threads=1, max_batch=2)
    with pytest.raises(SliceError, match=r"answers change by .* when batches are regrouped"):
        slice_model(model, tmp_path / "proved", options)
    assert list((tmp_path / "proved").iterdir()) == []
    # Nothing but the regrouping tells: in a batch of 8 the stages and the whole model mix rows alike.
    slice_model(model, tmp_path / "out", dataclasses.replace(options, verify=False))
    result = verify(tmp_path / "out", threads=1)
    assert not result.passed
    assert len(result.failures) == 1
    assert result.max_rel_error <= result.tolerance
    assert result.regroup_error > 0.01
    assert verify(tmp_path / "out", batches=(1, 3), threads=1).passed


def test_rows_put_back_in_another_order_fail(sliced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_parts = verification._in_parts

    def turned(session: Session, feeds: Values, order: np.random.Generator) -> Values:
        return {name: value[::-1] for name, value in in_parts(session, feeds, order).items()}

    monkeypatch.setattr(verification, "_in_parts", turned)
    result = verify(sliced)
    assert result.max_rel_error <= 1e-5
    assert [failure.partition(" by ")[0] for failure in result.failures] == ["answers change"]


def test_coupled_rows_are_reported_and_not_judged(tmp_path: Path) -> None:
    net = nets.chain(2)
    net.op("DynamicQuantizeLinear", "quantised", "relu1")
    net.nodes[-1].output.extend(["scale", "zero"])
    net.op("DequantizeLinear", "end", "quantised", "scale", "zero")
    model = net.write(tmp_path / "net.onnx", "end")
    slice_model(model, tmp_path / "out", SliceOptions(stages=2, threads=1, max_batch=2))
    result = verify(tmp_path / "out", threads=1)
    assert result.coupled_by == ("quantised",)
    assert result.regroup_error > result.tolerance
    assert result.passed


def test_relative_error_hides_nothing() -> None:
    one = np.ones(3, np.float32)
    nan = np.array([1, np.nan, 1], np.float32)
    assert relative_error(one, one) == 0.0
    assert relative_error(one * 2, np.array([2, 2, 1], np.float32)) == 0.5
    assert relative_error(one, nan) == relative_error(nan, nan) == float("inf")
    assert relative_error(one, one[:2]) == relative_error(one, one.astype(np.float64)) == float("inf")
    mask = np.array([0, -np.inf, np.finfo(np.float32).min], np.float32)
    assert relative_error(mask, mask) == 0.0
    assert relative_error(mask, np.zeros(3, np.float32)) == float("inf")
    assert relative_error(np.array([1, 2]), np.array([1, 3])) == float("inf")
    assert relative_error(np.zeros((0, 2)), np.zeros((0, 2))) == 0.0
