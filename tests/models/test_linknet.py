"""LinkNet is the published network on ResNet-18, and its links matter."""

import numpy as np
import onnx
import pytest

from dvabatch.models.registry import build_network
from tests.models.networks import SMALL_LINKNET, apart, kinds, parameters, rows_for, run, sizes

WIDTHS = [64, 64, 128, 256, 512]


@pytest.fixture(scope="module")
def linknet() -> onnx.ModelProto:
    return build_network("linknet", input_shape=(3, 64, 64))


def test_it_has_the_published_parameters(linknet: onnx.ModelProto) -> None:
    resnet_18 = 11_689_512 - (512 * 1000 + 1000)  # the published count less its classifier
    decoders = 0
    for inside, outside in zip(WIDTHS[1:], WIDTHS, strict=False):
        quarter = inside // 4
        weights = inside * quarter + 9 * quarter * quarter + quarter * outside
        decoders += weights + 2 * (quarter + quarter + outside)  # with scale and bias of three normalisations
    end = (9 * 64 * 32 + 2 * 32) + (9 * 32 * 32 + 2 * 32) + (4 * 32 * 19 + 19)
    assert parameters(linknet) == resnet_18 + decoders + end == 11_535_635  # "11.5 million"


def test_the_encoder_has_17_convolutions_and_three_projections(linknet: onnx.ModelProto) -> None:
    names = [node.name for node in linknet.graph.node if node.op_type == "Conv"]
    encoder = [name for name in names if name.startswith("encoder") or name == "conv1"]
    assert len(encoder) == 17 + 3
    assert kinds(linknet).count("ConvTranspose") == 3 + 2
    assert kinds(linknet).count("Add") == 8 + 3


def test_it_answers_finite_and_by_input(linknet: onnx.ModelProto) -> None:
    logits = run(linknet, rows_for(linknet, 2))
    assert logits.shape == (2, 19, 64, 64)
    assert apart(logits) > 0.2


def test_links_meet_at_the_same_size() -> None:
    found = sizes(SMALL_LINKNET((3, 128, 64), 0))
    assert [found[f"link{group}.out"] for group in (4, 3, 2)] == [[32, 8, 4], [16, 16, 8], [8, 32, 16]]
    assert found["decoder1.relu3.out"] == [8, 32, 16]


@pytest.mark.parametrize("link", ["link2", "link3", "link4"])
def test_both_sides_of_every_link_matter(link: str) -> None:
    model = SMALL_LINKNET((3, 64, 64), 0)
    values = rows_for(model, 1)
    whole = run(model, values)
    (add,) = (node for node in model.graph.node if node.name == link)
    decoded, encoded = add.input
    for first, second in ((decoded, decoded), (encoded, encoded)):
        add.input[0], add.input[1] = first, second
        assert np.abs(whole - run(model, values)).max() > 0.01 * np.abs(whole).max()
