"""Sizes that a network cannot take are refused, and what would do is said."""

import pytest

from dvabatch.models import ModelError, build_network
from dvabatch.models.pictures import picture_size


def test_height_and_width_are_given_back() -> None:
    assert picture_size("net", (3, 64, 96), smallest=64, multiple=32) == (64, 96)


@pytest.mark.parametrize("size", [(63, 64), (64, 63)])
def test_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=r"^net shrinks .* of 6\d x 6\d: give a height and width of at least 64$"):
        picture_size("net", (3, *size), smallest=64)


@pytest.mark.parametrize("size", [(48, 64), (64, 48)])
def test_no_multiple(size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=r"^net halves .* got \d+ x \d+: give .* multiples of 32$"):
        picture_size("net", (3, *size), multiple=32)


@pytest.mark.parametrize(
    ("name", "size", "wanted"),
    [
        ("vgg_19", 31, "at least 32"),
        ("unet", 40, "multiples of 16"),
        ("linknet", 48, "multiples of 32"),
        ("densenet_121", 28, "at least 29"),
        ("inception_v3", 74, "at least 75"),
    ],
)
def test_each_network_says_what_it_takes(name: str, size: int, wanted: str) -> None:
    with pytest.raises(ModelError, match=f"^{name} .*{wanted}$"):
        build_network(name, input_shape=(3, size, size))
