"""Inception v3 is the published network without its auxiliary classifier."""

import numpy as np
import onnx
import pytest

from dvabatch.models.registry import build_network
from tests.models.networks import SMALL_INCEPTION, apart, kinds, parameters, rows_for, run, sizes

# Published with the auxiliary classifier: a 1x1 from 768 to 128, a 5x5 from 128 to 768, both normalised, and 1000 classes.
WITH_AUXILIARY = 27_161_264
AUXILIARY = (768 * 128 + 2 * 128) + (25 * 128 * 768 + 2 * 768) + (768 * 1000 + 1000)


@pytest.fixture(scope="module")
def inception_v3() -> onnx.ModelProto:
    return build_network("inception_v3", input_shape=(3, 96, 96))


def test_it_has_the_published_parameters(inception_v3: onnx.ModelProto) -> None:
    assert parameters(inception_v3) == WITH_AUXILIARY - AUXILIARY == 23_834_568


def test_it_has_94_convolutions_all_normalised(inception_v3: onnx.ModelProto) -> None:
    # A stem of 5, three modules of 7, a reduction of 4, four modules of 10, a reduction of 6, two modules of 9.
    assert kinds(inception_v3).count("Conv") == 5 + 3 * 7 + 4 + 4 * 10 + 6 + 2 * 9 == 94
    assert kinds(inception_v3).count("BatchNormalization") == 94


def test_it_answers_finite_and_by_input(inception_v3: onnx.ModelProto) -> None:
    logits = run(inception_v3, rows_for(inception_v3, 2))
    assert logits.shape == (2, 1000)
    assert apart(logits) > 0.2


def test_sizes_at_299_are_those_of_the_paper() -> None:
    found = sizes(SMALL_INCEPTION((3, 299, 299), 0))
    assert [found[name][1] for name in ("stem.1a.relu.out", "stem.2a.relu.out", "stem.2b.relu.out")] == [149, 147, 147]
    assert [found[name][1] for name in ("stem.pool1.out", "stem.4a.relu.out", "stem.pool2.out")] == [73, 71, 35]
    ends = [found[f"mixed{module}.concat.out"] for module in ("5b", "5d", "6a", "6e", "7a", "7c")]
    channels = [256, 288, 768, 768, 1280, 2048]
    assert ends == [[c // 8, side, side] for c, side in zip(channels, (35, 35, 17, 17, 8, 8), strict=True)]


def test_the_smallest_picture_leaves_one_pixel() -> None:
    model = SMALL_INCEPTION((3, 75, 75), 0)
    assert sizes(model)["mixed7c.concat.out"] == [256, 1, 1]
    assert np.isfinite(run(model, rows_for(model, 1))).all()
