"""VGG-19 is the published network, at any size of picture."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from dvabatch.models.registry import build_network
from dvabatch.models.vgg import Vgg, _means
from tests.models.networks import SMALL_VGG, apart, kinds, parameters, rows_for, run, session_of, sizes


@pytest.fixture(scope="module")
def vgg_19() -> onnx.ModelProto:
    return build_network("vgg_19", input_shape=(3, 64, 64))


def test_it_has_the_published_parameters(vgg_19: onnx.ModelProto) -> None:
    channels = [3, *[64] * 2, *[128] * 2, *[256] * 4, *[512] * 8]
    convolutions = sum(9 * a * b + b for a, b in pairwise(channels))
    features = [512 * 7 * 7, 4096, 4096, 1000]
    classifier = sum(a * b + b for a, b in pairwise(features))
    assert parameters(vgg_19) == convolutions + classifier == 143_667_240


def test_it_has_19_weighted_layers(vgg_19: onnx.ModelProto) -> None:
    assert (kinds(vgg_19).count("Conv"), kinds(vgg_19).count("Gemm")) == (16, 3)
    assert kinds(vgg_19).count("MaxPool") == 5


def test_it_answers_finite_and_by_input(vgg_19: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "vgg.onnx"
    onnx.save(vgg_19, path)
    logits = run(session_of(path), rows_for(vgg_19, 2))
    assert logits.shape == (2, 1000)
    assert apart(logits) > 0.2


def test_at_the_published_size_nothing_is_added() -> None:
    model = SMALL_VGG((3, 224, 224), 0)
    assert set(kinds(model)) == {"Conv", "Relu", "MaxPool", "Flatten", "Gemm"}
    assert sizes(model)["pool5.out"] == [16, 7, 7]


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 50, 100), (3, 224, 96), (3, 448, 224)])
def test_the_classifier_sees_7_by_7_at_any_size(shape: tuple[int, int, int]) -> None:
    model = SMALL_VGG(shape, 0)
    assert sizes(model)["flatten.out"] == [16 * 49]
    assert np.isfinite(run(model, rows_for(model, 1))).all()


def test_the_grid_takes_means() -> None:
    np.testing.assert_array_equal(_means(7), np.eye(7))
    np.testing.assert_array_equal(_means(14) @ np.arange(14), np.arange(7) * 2 + 0.5)
    np.testing.assert_array_equal(_means(2) @ [1.0, 3.0], [1, 1, 1, 2, 3, 3, 3])
    np.testing.assert_allclose(_means(9).sum(axis=1), 1, rtol=1e-6)


def test_groups_without_a_width_are_refused() -> None:
    with pytest.raises(ValueError, match="v has 2 groups and 1 widths"):
        Vgg("v", convolutions=(1, 1), channels=(8,), hidden=8, classes=2)
