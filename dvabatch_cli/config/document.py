"""A config file as read: its raw values and where each of them comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import rapidjson

from dvabatch_cli.config.error import ConfigError, Finding, Problem
from dvabatch_cli.config.paths import Path, prefixes, render
from dvabatch_cli.config.positions import MAX_DEPTH, Positions, map_positions

MAX_FILE_BYTES = 1 << 20

_PARSE_MODE = rapidjson.PM_COMMENTS | rapidjson.PM_TRAILING_COMMAS


@dataclass(frozen=True, slots=True)
class Document:
    """Raw values with their sources. `overrides` maps a path to the option that set what lies there."""

    source: str
    raw: Any
    positions: Positions | None
    overrides: Mapping[Path, str] = field(default_factory=dict)

    def where(self, path: Path, *, name: bool = False) -> str:
        """`file:line` of `path` (of the member's name with `name`), or the option that set it or made it necessary."""
        for near in prefixes(path):
            if near in self.overrides:
                return self.overrides[near]
        if self.positions is None:
            return self.source
        for near in prefixes(path):
            if near in self.positions.values:
                break
            made = [option for below, option in self.overrides.items() if below[: len(near)] == near]
            if made:
                return made[0]
        line = self.positions.name_line(path) if name else self.positions.line(path)
        return f"{self.source}:{line}"

    def problem(self, finding: Finding, *, name: bool = False) -> Problem:
        """`finding`, with its source."""
        source = self.where(finding.path, name=name)
        return Problem(source, render(finding.path), finding.came, finding.wanted, finding.hint)


def read_document(path: FilePath) -> Document:
    """Read the config file at `path`. Raises ConfigError for all that is wrong with it as JSON."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        came = f"a file that cannot be read ({error.strerror})"
        raise ConfigError([Problem(str(path), "", came, "a config file")]) from error
    return parse_document(data, str(path))


def parse_document(data: bytes, source: str) -> Document:
    """The document in `data`, called `source` in messages. Raises ConfigError."""
    if len(data) > MAX_FILE_BYTES:
        raise _refused(source, f"more than {MAX_FILE_BYTES} bytes", "a config of at most 1 MiB", "is it another file?")
    try:
        text = data.decode("utf-8-sig")  # editors of some systems put a byte order mark first
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(f"{source}:{line}", f"the byte 0x{data[error.start]:02x}", "text in UTF-8") from error
    if "\0" in text:  # the parser takes it for the end, and what is behind it for nothing
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _refused(f"{source}:{line}", "a zero byte", "text in UTF-8")
    raw = _parsed(text, source)
    positions = map_positions(text)
    if positions.faults:
        raise ConfigError(
            Problem(f"{source}:{line}", render(fault.path), fault.came, fault.wanted, fault.hint)
            for line, fault in positions.faults
        )
    return Document(source, raw, positions)


def parse_value(text: str) -> Any:
    """One JSON value in the spelling of config files, for an option. Raises ValueError when it is none."""
    return rapidjson.loads(text, parse_mode=_PARSE_MODE)


def _parsed(text: str, source: str) -> Any:
    # No number_mode, although one would refuse NaN: with it python-rapidjson 1.25 forgets one of two parse modes.
    # The position map refuses NaN, and names its line.
    try:
        return rapidjson.loads(text, parse_mode=_PARSE_MODE)
    except rapidjson.JSONDecodeError as error:
        reason, line = _reason(str(error), text)
        wanted = "JSON (comments and trailing commas are fine)"
        raise _refused(f"{source}:{line}", reason, wanted) from error
    except RecursionError as error:
        raise _refused(source, "nesting without end", f"at most {MAX_DEPTH} levels of lists and objects") from error
    except ValueError as error:  # an integer of thousands of digits
        raise _refused(source, "a number of thousands of digits", "numbers that fit 64 bits") from error


def _reason(message: str, text: str) -> tuple[str, int]:
    """The parser's words and the line it speaks of: it counts bytes of UTF-8."""
    head, _, reason = message.partition(": ")
    offset = int("".join(filter(str.isdigit, head)) or 0)
    line = text.encode().count(b"\n", 0, offset) + 1
    return f"what does not parse ({reason.rstrip('.!').lower() or message})", line


def _refused(source: str, came: str, wanted: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(source, "", came, wanted, hint)])
