"""Cuts where the caller says, or a message that says where they could be."""

from __future__ import annotations

from pathlib import Path

import pytest

from slicer.errors import SliceError
from slicer.options import SliceOptions
from slicer.plan import slice_model
from tests.slicer import nets


def options(*names: str, stages: int | None = None) -> SliceOptions:
    return SliceOptions(stages=stages or len(names) + 1, threads=1, max_batch=2, cut_behind=names)


def test_a_model_is_cut_behind_the_tensors_named_in_its_own_order(tmp_path: Path) -> None:
    source = nets.chain().write(tmp_path / "chain.onnx", "relu3")
    manifest = slice_model(source, tmp_path / "out", options("relu2", "relu0"))
    assert [[spec.name for spec in stage.outputs] for stage in manifest.stages] == [["relu0"], ["relu2"], ["relu3"]]


def test_a_skip_is_carried_whatever_the_cut_is_called_by(tmp_path: Path) -> None:
    source = nets.skipping().write(tmp_path / "skipping.onnx", "late", "early")
    manifest = slice_model(source, tmp_path / "out", options("first"))
    assert "first" in {spec.name for spec in manifest.stages[1].inputs}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("relu9",), "cut_behind names 'relu9', which no operator of the folded model makes: nearest are 'relu"),
        (("relu3",), "cut_behind names 'relu3': nothing comes behind it; the nearest cuts lie behind "),
        (("relu1", "relu1"), "cut_behind names 'relu1' and 'relu1', which are one cut: name one of them"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_what_can(tmp_path: Path, names: tuple[str, ...], told: str) -> None:
    source = nets.chain().write(tmp_path / "chain.onnx", "relu3")
    with pytest.raises(SliceError) as caught:
        slice_model(source, tmp_path / "out", options(*names))
    assert str(caught.value).startswith(told)


def test_a_shape_is_no_cut(tmp_path: Path) -> None:
    net = nets.attention()
    source = net.write(tmp_path / "attention.onnx", "mixed_again")
    with pytest.raises(SliceError, match="cut_behind names 'shape', which hangs on shapes alone"):
        slice_model(source, tmp_path / "out", options("shape"))


def test_a_name_alone_is_no_list_of_names() -> None:
    with pytest.raises(ValueError, match="cut_behind is 'relu0', wanted a list"):
        SliceOptions(stages=6, cut_behind="relu0")


def test_a_number_of_stages_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="cut_behind names 1 cuts and stages is 4, wanted 2"):
        options("relu0", stages=4)
