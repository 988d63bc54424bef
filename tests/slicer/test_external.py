"""Weights in files beside the model: they stay there, and stages come out whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from slicer import ManifestError, SliceError, SliceOptions, external, fold, probe, segments, slice_model, verify
from slicer.external import INLINE_BYTES, outside_bytes
from slicer.load import content_sha256, load_model, sha256_of
from slicer.sessions import Session
from tests.slicer import nets

OPTIONS = SliceOptions(stages=2, threads=1, max_batch=2)
WIDTH = 160  # of square weights, which are then larger than what is brought in


def heavy(layers: int = 3) -> nets.Net:
    net = nets.Net()
    data = net.input("x", "batch", WIDTH)
    for index in range(layers):
        data = net.op("Tanh", f"tanh{index}", net.dense(f"dense{index}", data, WIDTH, WIDTH))
    return net


def saved(folder: Path, net: nets.Net, *outputs: str, location: str = "net.weights") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "net.onnx"
    onnx.save(net.model(*outputs), path, save_as_external_data=True, location=location, size_threshold=0)
    return path


def test_stages_are_whole_and_the_source_keeps_its_files(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", heavy(), "tanh2")
    out = tmp_path / "out"
    manifest = slice_model(source, out, OPTIONS)
    assert list(manifest.external) == ["net.weights"]
    assert sorted(path.name for path in out.iterdir()) == [
        "model.onnx",
        "net.weights",
        "stage_0.onnx",
        "stage_1.onnx",
        "stages.json",
    ]
    for stage in manifest.stages:
        assert outside_bytes(onnx.load(out / stage.file, load_external_data=False)) == 0
    assert sum(stage.parameters for stage in manifest.stages) == 3 * WIDTH * WIDTH
    assert verify(out, threads=1).passed
    assert sorted(path.name for path in source.parent.iterdir()) == ["net.onnx", "net.weights"]
    again = slice_model(out / "model.onnx", out, OPTIONS)
    assert again.external == manifest.external
    # Linked to the source: written over as a new file, so that the source stays what it is.
    weights = (out / "net.weights").read_bytes()
    (out / "net.weights").unlink()
    (out / "net.weights").write_bytes(weights[:-1] + b"?")
    with pytest.raises(ManifestError, match=r"net\.weights is not the file that was sliced"):
        verify(out, threads=1)


def sliced_anew(tmp_path: Path, *, beside: str) -> set[str]:
    """What lies in a folder where a model with weights of its own and three stages was, then one without and two, and in
    between a file that is neither's."""
    out = tmp_path / "out"
    slice_model(saved(tmp_path / "source", heavy(), "tanh2"), out, SliceOptions(stages=3, threads=1, max_batch=2))
    assert {path.name for path in out.iterdir()} >= {"net.weights", "stage_2.onnx"}
    (out / beside).write_bytes(b"")
    whole = heavy().write(tmp_path / "other.onnx", "tanh2")
    manifest = slice_model(whole, out, OPTIONS)
    left = {path.name for path in out.iterdir()}
    assert left >= {"stages.json", *manifest.files}
    return left - {"stages.json", *manifest.files}


@pytest.mark.parametrize("beside", ["profile-0.json", "stage_notes.txt"])
def test_a_slice_into_the_same_folder_leaves_nothing_of_the_one_before(tmp_path: Path, beside: str) -> None:
    assert sliced_anew(tmp_path, beside=beside) == {beside}
    assert sorted(path.name for path in (tmp_path / "source").iterdir()) == ["net.onnx", "net.weights"]


@pytest.mark.parametrize("beside", ["mine.onnx", "stage_9.onnx"])
def test_weights_beside_a_model_that_was_not_sliced_stay(tmp_path: Path, beside: str) -> None:
    assert sliced_anew(tmp_path, beside=beside) == {beside, "net.weights"}


def test_a_manifest_that_names_nothing_for_sure_removes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    slice_model(saved(tmp_path / "source", heavy(), "tanh2"), out, OPTIONS)
    (out / "stages.json").write_text("{}")
    slice_model(heavy().write(tmp_path / "other.onnx", "tanh2"), out, OPTIONS)
    assert (out / "net.weights").is_file()


def test_no_session_is_given_the_weights_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept outside never passes through one protobuf message, which could not hold more than 2 GiB."""
    sizes: list[int] = []

    class Weighed(Session):
        def __init__(self, model: bytes | Path, **options: Any) -> None:
            sizes.append(len(model) if isinstance(model, bytes) else 0)
            super().__init__(model, **options)

    for module in (fold, probe, segments, verify.__globals__):
        if isinstance(module, dict):
            monkeypatch.setitem(module, "Session", Weighed)
        else:
            monkeypatch.setattr(module, "Session", Weighed)
    slice_model(saved(tmp_path / "source", heavy(), "tanh2"), tmp_path / "out", OPTIONS)
    assert len(sizes) > 4
    assert 0 < max(sizes) < WIDTH * WIDTH * 4


def test_small_tensors_are_brought_in_and_large_ones_stay(tmp_path: Path) -> None:
    net = heavy(1)
    net.op("Add", "end", "tanh0", net.dense("small", "tanh0", WIDTH, 1))
    model = load_model(saved(tmp_path / "source", net, "end"))
    held = {tensor.name: external.is_external(tensor) for tensor in model.graph.initializer}
    assert held == {"dense0.w": True, "small.w": False}
    assert outside_bytes(model) == WIDTH * WIDTH * 4 > INLINE_BYTES


def test_what_is_missing_short_or_elsewhere_is_refused_by_name(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", heavy(1), "tanh0")
    weights = source.parent / "net.weights"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1])
    with pytest.raises(SliceError, match=r"'dense0\.w' in 'net\.weights' at \d+ with 102400 bytes.*truncated"):
        slice_model(source, tmp_path / "out", OPTIONS)
    weights.unlink()
    with pytest.raises(SliceError, match=r"'dense0\.w' in 'net\.weights', which is missing"):
        slice_model(source, tmp_path / "out", OPTIONS)
    for name in ("../net.weights", "/etc/hostname", "sub/net.weights", ""):
        model = onnx.load(source, load_external_data=False)
        for entry in model.graph.initializer[0].external_data:
            if entry.key == "location":
                entry.value = name
        onnx.save(model, source)
        with pytest.raises(SliceError, match="wanted a file beside it"):
            slice_model(source, tmp_path / "out", OPTIONS)
        source = saved(tmp_path / "source", heavy(1), "tanh0")


def test_names_that_stages_need_are_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", heavy(1), "tanh0", location="stage_0.onnx")
    with pytest.raises(SliceError, match=r"keeps weights in 'stage_0\.onnx', a name that stages need"):
        slice_model(source, tmp_path / "out", OPTIONS)


def test_a_stage_that_no_file_can_hold_asks_for_more_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved(tmp_path / "source", heavy(4), "tanh3")
    monkeypatch.setattr(external, "MAX_BYTES", 250_000)
    with pytest.raises(SliceError, match=r"a stage would hold 409600 bytes of weights.*ask for more stages"):
        slice_model(source, tmp_path / "out", SliceOptions(stages=1, threads=1, max_batch=2))
    manifest = slice_model(source, tmp_path / "out", SliceOptions(stages=4, threads=1, max_batch=2))
    assert verify(tmp_path / "out", threads=1).passed
    assert max(stage.parameters for stage in manifest.stages) * 4 < 250_000


def test_other_weights_beside_the_same_file_are_another_model(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", heavy(), "tanh2")
    weights = source.parent / "net.weights"
    before, file = content_sha256(source), sha256_of(source)
    assert slice_model(source, tmp_path / "out", OPTIONS).content_sha256 == before
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert sha256_of(source) == file
    assert content_sha256(source) != before
    weights.unlink()
    with pytest.raises(SliceError, match=r"keeps weights in net\.weights, which is not beside it"):
        content_sha256(source)


def test_a_model_in_one_file_is_named_by_that_file(tmp_path: Path) -> None:
    whole = heavy().write(tmp_path / "net.onnx", "tanh2")
    assert content_sha256(whole) == sha256_of(whole)
