"""stages.json survives a round trip, and a hostile one is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slicer.errors import ManifestError
from slicer.manifest import FILE_NAME, Manifest, StageSpec, TensorSpec, read_manifest, write_manifest

X, H, Y = (
    TensorSpec("x", "float32", ("N", 3, "height")),
    TensorSpec("h", "float32", ("N", "?")),
    TensorSpec("y", "int64", ("N",)),
)


def manifest() -> Manifest:
    first = StageSpec(0, "stage_0.onnx", "a" * 64, 3, 10, (X,), (H,), 640, {1: 0.5, 8: 2.25}, 8)
    second = StageSpec(1, "stage_1.onnx", "b" * 64, 4, 0, (X, H), (Y,), 0, {1: 1.0}, 1)
    return Manifest(1, "net", "model.onnx", "c" * 64, (X,), (Y,), {"x": (1, 3, 32)}, (first, second), {"gain": 0.5})


def test_round_trip_and_form(tmp_path: Path) -> None:
    write_manifest(manifest(), tmp_path)
    assert read_manifest(tmp_path) == manifest()
    text = (tmp_path / FILE_NAME).read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=1) + "\n"
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_files_of_weights_are_named_only_where_there_are_any(tmp_path: Path) -> None:
    write_manifest(manifest(), tmp_path)
    assert "external" not in json.loads((tmp_path / FILE_NAME).read_text())
    heavy = replace(manifest(), external={"net.weights": "d" * 64})
    write_manifest(heavy, tmp_path)
    assert read_manifest(tmp_path) == heavy


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda data: data.pop("stages"), "stages"),
        (lambda data: data.update(extra=1), "extra"),
        (lambda data: data.update(version=2), "version"),
        (lambda data: data.update(version=True), "version is bool"),
        (lambda data: data.update(model_file="../model.onnx"), "plain name"),
        (lambda data: data.update(model_file="/etc/passwd"), "plain name"),
        (lambda data: data.update(stages=[]), "stages"),
        (lambda data: data["stages"][0].update(file="..\\up.onnx"), "plain name"),
        (lambda data: data["stages"][0].update(file=".."), "plain name"),
        (lambda data: data["stages"][0].update(file="model.onnx"), "each once"),
        (lambda data: data["stages"][0].update(sha256="A" * 64), "sha256"),
        (lambda data: data["stages"][0].update(index=1), "index"),
        (lambda data: data["stages"][0].update(nodes=-1), "nodes"),
        (lambda data: data["stages"][0].update(nodes="3"), "nodes is str"),
        (lambda data: data["stages"][0].update(latency_ms={"0": 1.0}), "batch size"),
        (lambda data: data["stages"][0].update(latency_ms={"1": float("nan")}), "latency_ms"),
        (lambda data: data["stages"][0].update(favored_batch=3), "favored_batch"),
        (lambda data: data["stages"][0]["outputs"][0].update(name="other"), "earlier stage"),
        (lambda data: data["stages"][1]["inputs"][0].update(dtype="float64"), "earlier stage"),
        (lambda data: data["inputs"][0].update(dtype="object"), "dtype"),
        (lambda data: data["inputs"][0].update(shape=[1, 3]), "in front"),
        (lambda data: data["outputs"][0].update(name="z"), "no stage writes"),
        (lambda data: data["shapes"].update(x=[1.5]), "float"),
        (lambda data: data.update(external={"../weights": "d" * 64}), "plain name"),
        (lambda data: data.update(external={"stages.json": "d" * 64}), "each once"),
        (lambda data: data.update(external={"weights": "d"}), "sha256 of weights"),
        (lambda data: data.update(external={"weights": 1}), "external"),
    ],
)
def test_hostile_manifests_are_refused(tmp_path: Path, change: Change, word: str) -> None:
    write_manifest(manifest(), tmp_path)
    data = json.loads((tmp_path / FILE_NAME).read_text())
    change(data)
    (tmp_path / FILE_NAME).write_text(json.dumps(data))
    with pytest.raises(ManifestError, match=word):
        read_manifest(tmp_path)


def test_what_is_no_json_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path)
    path = tmp_path / FILE_NAME
    for text in ("", "{", "[]", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        path.write_text(text)
        with pytest.raises(ManifestError, match="no manifest"):
            read_manifest(tmp_path)
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(ManifestError, match="more than"):
        read_manifest(tmp_path)
