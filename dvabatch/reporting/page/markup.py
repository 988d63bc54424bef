"""HTML put together so that text cannot become markup: whatever is not `Html` already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_VOID: Final = frozenset({"meta"})
_LEAVES: Final = frozenset({"path", "use", "rect", "line", "circle"})  # of SVG, where a parser of HTML lets them end so
NOTHING: Final = "-"


class Html(str):
    """Markup. Made by this package's own functions only; a string of a report never is one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `about` is what its heading tells on demand."""

    heading: str
    numeric: bool = True
    about: str | None = None


Row = Sequence[str]
"""The cells of a row: text, or `Html`. The first names the row."""


def joined(parts: Iterable[str]) -> Html:
    """The parts one after another, each escaped unless it is Html."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def element(name: str, /, *children: str, **attributes: str | int | None) -> Html:
    """One element. An attribute `class_` is `class`, `aria_label` is `aria-label`; one that is None is left out."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}/>" if name in _LEAVES else f"<{name}{told}>{joined(children)}</{name}>")


def section(anchor: str, heading: str, *children: str) -> Html:
    """A section that a link reaches."""
    return element("section", element("h2", heading), *children, id=anchor)


def paragraph(*children: str, class_: str | None = None) -> Html:
    return element("p", *children, class_=class_)


def items(lines: Iterable[str]) -> Html:
    return element("ul", *(element("li", line) for line in lines))


def folded(summary: str, *children: str) -> Html:
    """Closed until asked for."""
    return element("details", element("summary", summary), *children)


def code(text: str) -> Html:
    return element("code", text)


def table(caption: str, columns: Sequence[Column], groups: Sequence[tuple[str | None, Sequence[Row]]]) -> Html:
    """A table in a box of its own, which scrolls where the page is narrower; each group of rows below its title.

    The box can be reached by keyboard, or else who has no mouse could not scroll it.
    """
    columns, groups = _without_empty(columns, groups)
    heads = (
        element(
            "th", column.heading, scope="col", class_="number" if place and column.numeric else None, title=column.about
        )
        for place, column in enumerate(columns)
    )
    bodies = []
    for title, rows in groups:
        lines = []
        if title is not None:
            head = element("th", element("span", title), scope="colgroup", colspan=len(columns))
            lines.append(element("tr", head, class_="group"))
        for row in rows:
            cells = [element("th", row[0], scope="row")]
            cells += (
                element("td", cell, class_="number" if column.numeric else None)
                for column, cell in zip(columns[1:], row[1:], strict=True)
            )
            lines.append(element("tr", *cells))
        bodies.append(element("tbody", *lines))
    inside = element("table", element("caption", caption), element("thead", element("tr", *heads)), *bodies)
    return element("div", inside, class_="scroll", role="region", aria_label=caption, tabindex=0)


def _without_empty(
    columns: Sequence[Column], groups: Sequence[tuple[str | None, Sequence[Row]]]
) -> tuple[list[Column], list[tuple[str | None, list[Row]]]]:
    """Leaves out the columns that say nothing in any row."""
    kept = [
        place for place in range(len(columns)) if place == 0 or any(row[place] for _, rows in groups for row in rows)
    ]
    return [columns[place] for place in kept], [
        (title, [[row[place] for place in kept] for row in rows]) for title, rows in groups
    ]


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """Names and what they are, in two columns; those that are empty are left out."""
    told = (joined((element("dt", name), element("dd", value))) for name, value in pairs if value)
    return element("dl", *told)
