"""A figure as SVG inside a page: text as text, ids of its own, and colours that the page's style may change.

matplotlib's SVG is a document by itself. Two of them in one page share ids, their inline styles need a content policy that
allows any, and they are drawn for white paper. So the drawing is written anew from the few elements and attributes that it
consists of: styles become presentation attributes, which a style sheet overrides by their values.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import Final
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from .markup import Html, element, joined

_ELEMENTS: Final = frozenset({"g", "defs", "clipPath", "path", "rect", "use", "text", "tspan"})
_GEOMETRY: Final[tuple[str, ...]] = ("d", "x", "y", "width", "height", "transform")
_PAINT: Final[tuple[str, ...]] = (
    *("fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin"),
    *("stroke-dasharray", "stroke-dashoffset", "opacity", "font-size", "font-weight", "font-style", "text-anchor"),
)
_DEFAULTS: Final = {"stroke-linejoin": "round", "stroke-linecap": "butt", "stroke-dashoffset": "0"}
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")
_DECIMALS: Final = re.compile(r"-?\d+\.\d+")
_POINT: Final = re.compile(r"M \S+ \S+")
_NO_TURN: Final = re.compile(r"rotate\(-?0(\.0+)? [^)]*\)")


def inline(figure: Figure, prefix: str, label: str, class_: str) -> Html:
    """The figure as an `svg` element, its ids behind `prefix`, for readers of text called `label`.

    To be called while `figure_files.drawing`.
    """
    drawn = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        # The reader's browser draws the text, by fonts of its own: what matplotlib's font lacks is not missing.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")  # or else savefig draws everything once more, to lay it out
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(drawn.getvalue())
    _, _, width, height = root.attrib["viewBox"].split()
    used = {reference for node in root.iter() for reference in _references(node)}
    inside = joined(_written(child, prefix, used, in_defs=False) for child in root)
    return element(
        "svg",
        inside,
        viewBox=f"0 0 {_round(width)} {_round(height)}",
        width=round(float(width) * 4 / 3),  # points, at 96 pixels an inch
        height=round(float(height) * 4 / 3),
        role="img",
        aria_label=label,
        class_=class_,
    )


def _written(node: ElementTree.Element, prefix: str, used: set[str], *, in_defs: bool) -> Html:
    name = node.tag.rpartition("}")[2]
    if name not in _ELEMENTS:
        return Html("")
    digits = 2 if in_defs else 1  # a marker is small, and drawn many times
    attributes: dict[str, str] = {key: _round(node.attrib[key], digits) for key in _GEOMETRY if key in node.attrib}
    if _POINT.fullmatch(attributes.get("d", "")):
        return Html("")  # a line of one point, of which the marker alone is seen
    if _NO_TURN.fullmatch(attributes.get("transform", "")):
        del attributes["transform"]
    attributes |= {key: value for key, value in _style(node).items() if _DEFAULTS.get(key) != value}
    if in_defs:  # what uses it has the paint; rules for the page's colours would not reach it here
        attributes.pop("fill", None)
        attributes.pop("stroke", None)
    if node.attrib.get("id") in used:
        attributes["id"] = f"{prefix}-{node.attrib['id']}"
    for reference in _references(node):
        key, value = ("href", "#{}") if _HREF in node.attrib else ("clip-path", "url(#{})")
        attributes[key] = value.format(f"{prefix}-{reference}")
    below = in_defs or name == "defs"
    children = [_written(child, prefix, used, in_defs=below) for child in node]
    if name == "g" and not attributes:
        return joined(children)
    text = [node.text or ""] if name in {"text", "tspan"} else []
    return element(name, *text, *children, **attributes)


def _references(node: ElementTree.Element) -> list[str]:
    """The ids that an element refers to: a marker, or a clip path."""
    if _HREF in node.attrib:
        return [node.attrib[_HREF].removeprefix("#")]
    clip = _REFERENCE.fullmatch(node.attrib.get("clip-path", ""))
    return [] if clip is None else [clip[1]]


def _style(node: ElementTree.Element) -> dict[str, str]:
    declared = (each.partition(":") for each in node.attrib.get("style", "").split(";"))
    found = {key.strip(): value.strip() for key, _, value in declared}
    return {key: found[key] for key in _PAINT if key in found}


def _round(text: str, digits: int = 1) -> str:
    """A tenth of a point is finer than most screens; more digits would be most of the page."""
    shorter = _DECIMALS.sub(lambda match: f"{float(match[0]):.{digits}f}".rstrip("0").rstrip("."), text)
    return " ".join(shorter.split())
