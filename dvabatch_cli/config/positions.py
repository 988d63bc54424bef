"""On which line each value of a JSON document stands: the parser knows values but no positions."""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from dvabatch_cli.config.error import Finding
from dvabatch_cli.config.paths import Path, prefixes

# A config nests five deep. The bound keeps every walk over a document that somebody else wrote short.
MAX_DEPTH = 16

_SKIPPED = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BARE = re.compile(r"[-+.\w]+", re.ASCII)
_NOT_FINITE = re.compile(r"-?(?:NaN|Inf|Infinity)")


@dataclass(frozen=True, slots=True)
class Positions:
    """Lines count from 1 and end with a line feed. `names` has the members of objects, `values` everything.

    `faults` are what JSON allows or the parser lets pass and a config must not have: a key given twice, numbers
    that are not finite, more than MAX_DEPTH levels (the scan ends there).
    """

    names: Mapping[Path, int]
    values: Mapping[Path, int]
    faults: tuple[tuple[int, Finding], ...]

    def line(self, path: Path) -> int:
        """The line of the value at `path`, or of the nearest thing around it that the document has."""
        return next(self.values[near] for near in prefixes(path) if near in self.values)

    def name_line(self, path: Path) -> int:
        """The line of the member's name at `path`; for anything without a name, as `line`."""
        return self.names[path] if path in self.names else self.line(path)


@dataclass(slots=True)
class _Container:
    path: Path
    is_object: bool
    items: int = 0
    seen: dict[str, int] = field(default_factory=dict)


class _Scan:
    """One pass over a document that the parser accepted: its grammar is known to hold and is not checked again."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._open: list[_Container] = []
        self.names: dict[Path, int] = {}
        self.values: dict[Path, int] = {}
        self.faults: list[tuple[int, Finding]] = []

    def run(self) -> None:
        at = self._skip(0)
        while at < len(self._text):
            character = self._text[at]
            if character in "]}":
                self._open.pop()
                at += 1
            elif character == ",":
                at += 1
            else:
                path, at = self._enter(at)
                self.values[path] = self._line(at)
                if self._text[at] in "[{" and len(self._open) == MAX_DEPTH:
                    came, wanted = f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} levels of lists and objects"
                    self.faults.append((self._line(at), Finding((), came, wanted)))
                    return
                at = self._pass(path, at)
            at = self._skip(at)

    def _enter(self, at: int) -> tuple[Path, int]:
        """The path of what begins at `at`, and where its value begins."""
        if not self._open:
            return (), at
        container = self._open[-1]
        if not container.is_object:
            container.items += 1
            return (*container.path, container.items - 1), at
        end = self._match(_STRING, at)
        name: str = json.loads(self._text[at:end], strict=False)
        path = (*container.path, name)
        line = self._line(at)
        if name in container.seen:
            came = f"the key a second time (first on line {container.seen[name]})"
            self.faults.append((line, Finding(path, came, "each key once", "remove one of them")))
        container.seen.setdefault(name, line)
        self.names[path] = line
        return path, self._skip(self._skip(end) + len(":"))

    def _pass(self, path: Path, at: int) -> int:
        """Go into the container, or behind the scalar, at `at`."""
        character = self._text[at]
        if character in "[{":
            self._open.append(_Container(path, is_object=character == "{"))
            return at + 1
        if character == '"':
            return self._match(_STRING, at)
        end = self._match(_BARE, at)
        token = self._text[at:end]
        if _NOT_FINITE.fullmatch(token):
            hint = 'burstiness alone takes "inf", in quotes'
            self.faults.append((self._line(at), Finding(path, token, "a finite number", hint)))
        return end

    def _skip(self, at: int) -> int:
        return self._match(_SKIPPED, at)

    def _match(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self._text, at)
        if match is None:
            raise ValueError(f"line {self._line(at)}: got {self._text[at : at + 20]!r}, wanted a document that parses")
        return match.end()

    def _line(self, at: int) -> int:
        return bisect_right(self._ends, at - 1) + 1


def map_positions(text: str) -> Positions:
    """The line of every path of `text`, a JSON document with comments and trailing commas that the parser accepts."""
    scan = _Scan(text)
    scan.run()
    return Positions(scan.names, scan.values, tuple(scan.faults))
