"""DenseNet-121 is the published network."""

import numpy as np
import onnx
import pytest

from dvabatch.models.registry import build_network
from tests.models.networks import SMALL_DENSENET, apart, kinds, parameters, rows_for, run, sizes

LAYERS = (6, 12, 24, 16)


@pytest.fixture(scope="module")
def densenet_121() -> onnx.ModelProto:
    return build_network("densenet_121", input_shape=(3, 64, 64))


def test_it_has_the_published_parameters(densenet_121: onnx.ModelProto) -> None:
    total = 3 * 64 * 49 + 2 * 64
    channels = 64
    for block, layers in enumerate(LAYERS):
        if block:
            total += 2 * channels + channels * channels // 2
            channels //= 2
        for _ in range(layers):
            total += 2 * channels + channels * 128 + 2 * 128 + 128 * 32 * 9
            channels += 32
    total += 2 * channels + channels * 1000 + 1000
    assert parameters(densenet_121) == total == 7_978_856


def test_it_has_121_weighted_layers(densenet_121: onnx.ModelProto) -> None:
    assert kinds(densenet_121).count("Conv") + kinds(densenet_121).count("Gemm") == 121
    assert kinds(densenet_121).count("Concat") == sum(LAYERS)
    assert kinds(densenet_121).count("AveragePool") == 3


def test_it_answers_finite_and_by_input(densenet_121: onnx.ModelProto) -> None:
    logits = run(densenet_121, rows_for(densenet_121, 2))
    assert logits.shape == (2, 1000)
    assert apart(logits) > 0.2


def test_sizes_at_224() -> None:
    found = sizes(SMALL_DENSENET((3, 224, 224), 0))
    assert found["pool0.out"] == [16, 56, 56]
    assert [found[f"transition{block}.pool.out"] for block in (1, 2, 3)] == [[16, 28, 28], [20, 14, 14], [18, 7, 7]]
    assert found["relu5.out"] == [34, 7, 7]


def test_the_smallest_picture_leaves_one_pixel() -> None:
    model = SMALL_DENSENET((3, 29, 29), 0)
    assert sizes(model)["relu5.out"] == [34, 1, 1]
    assert np.isfinite(run(model, rows_for(model, 1))).all()
