"""What networks for pictures take: rows of three colours, large enough for what they do to them."""

from collections.abc import Sequence

from dvabatch.models.errors import ModelError

COLOURS = 3


def picture_size(name: str, input_shape: Sequence[int], *, smallest: int = 1, multiple: int = 1) -> tuple[int, int]:
    """Height and width of network `name`'s rows of `input_shape` (3, height, width).

    Raises ModelError unless both are at least `smallest` and multiples of `multiple`.
    """
    if len(input_shape) != 3 or input_shape[0] != COLOURS:
        raise ModelError(
            f"{name} takes rows of shape (3, height, width), got {tuple(input_shape)}: "
            "leave the batch axis out and give three channels"
        )
    _, height, width = input_shape
    if min(height, width) < smallest:
        raise ModelError(
            f"{name} shrinks pictures until nothing is left of {height} x {width}: "
            f"give a height and width of at least {smallest}"
        )
    if height % multiple or width % multiple:
        raise ModelError(
            f"{name} halves pictures and doubles them back to their size, got {height} x {width}: "
            f"give a height and width that are multiples of {multiple}"
        )
    return height, width
