"""The colours of the figures on dark paper."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable
from typing import Final

DARK_PAPER: Final = "#14181d"  # as in style.css
_PAINTED: Final = re.compile(r'(?:fill|stroke)="(#[0-9a-f]{6})"')
_GREY: Final = 0.12  # saturation below which a colour is ink, line or paper, and no policy's
_LIGHTEST: Final = 0.92
_SERIES_FROM: Final = 0.62  # lightness from which any hue stands off the dark paper


def dark_of(colour: str) -> str:
    """The colour that says on dark paper what `colour` (#rrggbb) says on white.

    Greys change sides: white becomes the paper and black nearly white. Others keep their hue and are made light.
    """
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if max(red, green, blue) - min(red, green, blue) < _GREY:
        paper = int(DARK_PAPER[3:5], 16) / 255
        grey = paper + (1 - lightness) ** 0.8 * (_LIGHTEST - paper)
        return DARK_PAPER if lightness == 1 else _hex(grey, grey, grey)
    lifted = max(lightness, _SERIES_FROM + 0.2 * lightness)
    return _hex(*colorsys.hls_to_rgb(hue, lifted, saturation))


def dark_rules(drawings: Iterable[str]) -> str:
    """CSS for the dark scheme: every colour that is painted in the drawings, by its dark counterpart."""
    colours = sorted({colour for drawing in drawings for colour in _PAINTED.findall(drawing)})
    lines = (
        f'.chart [{paint}="{colour}"] {{ {paint}: {dark_of(colour)} }}'
        for colour in colours
        for paint in ("fill", "stroke")
    )
    return "\n".join(lines)


def _hex(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))
