"""UNet is the published network, padded; its skips carry what they should."""

import numpy as np
import onnx
import pytest

from dvabatch.models.registry import build_network
from tests.models.networks import apart, kinds, parameters, rows_for, run, sizes


@pytest.fixture(scope="module")
def unet() -> onnx.ModelProto:
    return build_network("unet", input_shape=(3, 64, 64))


def test_it_has_the_published_parameters_for_three_colours_and_two_classes(unet: onnx.ModelProto) -> None:
    widths = [64, 128, 256, 512, 1024]
    down = sum(9 * a * b + b + 9 * b * b + b for a, b in zip([3, *widths], widths, strict=False))
    doublings = sum(4 * 2 * b * b + b for b in widths[:-1])
    up = sum(9 * 2 * b * b + b + 9 * b * b + b for b in widths[:-1])
    classes = 64 * 2 + 2
    # 31,030,658 with one colour and two classes; each colour more has 3 * 3 * 64 weights.
    assert parameters(unet) == down + doublings + up + classes == 31_030_658 + 2 * 9 * 64


def test_it_has_23_convolutions(unet: onnx.ModelProto) -> None:
    assert kinds(unet).count("Conv") + kinds(unet).count("ConvTranspose") == 23  # as the paper counts


def test_it_answers_finite_and_by_input(unet: onnx.ModelProto) -> None:
    logits = run(unet, rows_for(unet, 2))
    assert logits.shape == (2, 2, 64, 64)
    assert apart(logits) > 0.2


def test_the_picture_is_halved_four_times_and_doubled_back() -> None:
    found = sizes(build_network("tiny_unet", input_shape=(3, 64, 32)))
    assert found["bottom.relu2.out"] == [64, 4, 2]
    assert [found[f"join{level}.out"] for level in (4, 3, 2, 1)] == [[64, 8, 4], [32, 16, 8], [16, 32, 16], [8, 64, 32]]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_every_skip_and_every_level_matters(level: int) -> None:
    """A skip lost on the way between stages must change the answer, and so must what comes from below."""
    model = build_network("tiny_unet")
    values = rows_for(model, 1)
    whole = run(model, values)
    (join,) = (node for node in model.graph.node if node.name == f"join{level}")
    skip, below = join.input
    for first, second in ((below, below), (skip, skip)):
        join.input[0], join.input[1] = first, second
        assert np.abs(whole - run(model, values)).max() > 0.01 * np.abs(whole).max()
