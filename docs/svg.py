"""Plain SVG text: the same picture gives the same bytes, whatever is installed."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

INK, MUTED, FAINT, PAPER = "#1b2733", "#5d6b7a", "#d5dce4", "#ffffff"
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif"
Attribute = str | float | None


@dataclass(slots=True)
class Drawing:
    """Shapes in the order in which they are painted. Lengths are pixels; an attribute `stroke_width` is `stroke-width`."""

    width: float
    height: float
    title: str
    parts: list[str] = field(default_factory=list)

    def add(self, tag: str, **attributes: Attribute) -> None:
        """One element; attributes that are None are left out, and `content` is the text inside it."""
        content = attributes.pop("content", None)
        told = "".join(
            f" {name.rstrip('_').replace('_', '-')}={quoteattr(_plain(value))}"
            for name, value in attributes.items()
            if value is not None
        )
        self.parts.append(f"<{tag}{told}/>" if content is None else f"<{tag}{told}>{escape(_plain(content))}</{tag}>")

    def box(self, x: float, y: float, width: float, height: float, **attributes: Attribute) -> None:
        self.add("rect", x=x, y=y, width=width, height=height, **attributes)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 13,
        fill: str = INK,
        anchor: str = "middle",
        weight: int | None = None,
        **attributes: Attribute,
    ) -> None:
        """`y` is the middle of small letters, so that a text sits in the middle of a box."""
        self.add(
            "text", content=text, x=x, y=y + 0.36 * size, font_size=size, fill=fill, text_anchor=anchor, font_weight=weight,
            **attributes,
        )  # fmt: skip

    def arrow(
        self, points: list[tuple[float, float]], *, colour: str = MUTED, width: float = 1.6, dash: str | None = None
    ) -> None:
        """A line through the points with a head at the last."""
        (x0, y0), (x1, y1) = points[-2:]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        head = 8.0
        corners = [
            (x1, y1),
            (x1 - head * ux - head * 0.45 * uy, y1 - head * uy + head * 0.45 * ux),
            (x1 - head * ux + head * 0.45 * uy, y1 - head * uy - head * 0.45 * ux),
        ]
        shaft = [*points[:-1], (x1 - head * 0.8 * ux, y1 - head * 0.8 * uy)]
        self.add(
            "polyline", points=_points(shaft), fill="none", stroke=colour, stroke_width=width, stroke_dasharray=dash
        )
        self.add("polygon", points=_points(corners), fill=colour)

    def pill(self, x: float, y: float, text: str, *, colour: str, size: float = 11) -> None:
        """A label with a coloured ground, centred at (x, y)."""
        width = 0.58 * size * len(text) + 12
        self.box(x - width / 2, y - size * 0.8, width, size * 1.6, rx=size * 0.8, fill=colour)
        self.text(x, y, text, size=size, fill=PAPER, weight=600)

    def render(self) -> str:
        """The whole file, on a ground of its own, so that it reads on dark pages too."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_plain(self.width)} {_plain(self.height)}" '
            f'width="{_plain(self.width)}" height="{_plain(self.height)}" role="img" font-family="{FONT}">'
        )
        ground = (
            f'<rect x="0.5" y="0.5" width="{_plain(self.width - 1)}" height="{_plain(self.height - 1)}" rx="12" '
            f'fill="{PAPER}" stroke="{FAINT}"/>'
        )
        return "\n".join([head, f"<title>{escape(self.title)}</title>", ground, *self.parts, "</svg>", ""])


def _plain(value: str | float | None) -> str:
    return value if isinstance(value, str) else f"{round(float(value or 0), 2):g}"


def _points(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{_plain(x)},{_plain(y)}" for x, y in points)
