"""What a page of documentation says to type, and where its links lead."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = (
    README,
    *(ROOT / "docs" / f"{name}.md" for name in ("guide", "architecture", "reproduce")),
    ROOT / "results" / "README.md",
)

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks in this language, in order."""
    return [match["text"] for match in _BLOCK.finditer(page.read_text()) if match["language"] == language]


def commands(page: Path) -> list[str]:
    """Every line behind a `$ ` of the console blocks, in order."""
    lines = (line for block in blocks(page, "console") for line in block.splitlines())
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def links(page: Path) -> list[str]:
    """The targets of links and pictures that lie in this tree, as written."""
    targets = (match["target"] for match in _LINK.finditer(page.read_text()))
    return [target for target in targets if not target.startswith(("http:", "https:", "#"))]
