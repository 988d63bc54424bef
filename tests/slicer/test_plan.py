"""Whole slices: small networks, and two real models of other people's."""

from pathlib import Path

import onnx
import pytest

from slicer import Manifest, SliceError, SliceOptions, read_manifest, slice_model, verify
from slicer.load import sha256_of
from slicer.sessions import Session
from tests.slicer import nets

ONE_THREAD = SliceOptions(stages=3, threads=1, max_batch=4)


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


def test_the_source_is_linked_where_it_can_be(tmp_path: Path) -> None:
    source = nets.chain().write(tmp_path / "chain.onnx", "relu3")
    slice_model(source, tmp_path / "out", SliceOptions(stages=1, threads=1))
    assert source.samefile(tmp_path / "out" / "model.onnx")


def test_ocr_detector(ocr_detector: Path, tmp_path: Path) -> None:
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


def test_mini_lm_keeps_its_sequence_free(mini_lm: Path, tmp_path: Path) -> None:
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
