"""Manifests changed and damaged at random: each is a manifest that keeps its promises, or a ManifestError."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.errors import ManifestError
from slicer.manifest import FILE_NAME, Manifest, read_manifest, write_manifest
from tests.fuzz.damage import damage_values, damaged_bytes
from tests.slicer.test_manifest import manifest

PATHS = st.sampled_from(
    ["../x", "/etc/hostname", "a/b", "..", ".", "", "C:x", "a\\b", "a\0b", "model.onnx", "stage_1.onnx"]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


def said(model: Manifest) -> bytes:
    return json.dumps(dataclasses.asdict(model)).encode()


@given(data=st.data())
@settings(max_examples=120)
def test_a_changed_manifest_is_one_or_refused(folder: Path, data: st.DataObject) -> None:
    raw = json.loads(said(dataclasses.replace(manifest(), external={"net.weights": "d" * 64})))
    if data.draw(st.booleans()):
        damage_values(raw, data)
    else:
        where = data.draw(st.sampled_from([raw, raw["stages"][0], raw["stages"][1], raw["external"]]))
        key = "model_file" if where is raw else "file"
        if where is raw["external"]:
            where[data.draw(PATHS)] = "e" * 64
        else:
            where[key] = data.draw(PATHS)
    check(folder, json.dumps(raw).encode())


@given(data=st.data())
@settings(max_examples=100)
def test_a_damaged_manifest_is_one_or_refused(folder: Path, data: st.DataObject) -> None:
    check(folder, data.draw(damaged_bytes(said(manifest()))))


def check(folder: Path, text: bytes) -> None:
    (folder / FILE_NAME).write_bytes(text)
    try:
        found = read_manifest(folder)
    except ManifestError as error:
        assert "slice the model again" in str(error)
        return
    for name in found.files:  # each lies in the folder, on any system
        assert (folder / name).parent == folder
        assert PureWindowsPath(name).name == name not in {"", ".", ".."}
    write_manifest(found, folder)
    assert read_manifest(folder) == found
