"""What is wrong with a config, and where."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """An impossible value at `path` (relative to whoever found it): what came, what was wanted, what to do."""

    path: tuple[str | int, ...]
    came: str
    wanted: str
    hint: str = ""

    def under(self, *steps: str | int) -> "Finding":
        """The same finding seen from further out."""
        return Finding((*steps, *self.path), self.came, self.wanted, self.hint)


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of a ConfigError. `source` is `file:line` or the option that set the value; `path` may be empty."""

    source: str
    path: str
    came: str
    wanted: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.source}: {self.path}" if self.path else self.source
        return f"{where}: got {self.came}, wanted {self.wanted}" + (f": {self.hint}" if self.hint else "")


class ConfigError(Exception):
    """A config that cannot be used. The message has a line for each of `problems`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if not self.problems:
            raise ValueError("a ConfigError needs at least one problem, got none")
        super().__init__("\n".join(map(str, self.problems)))


def shown(value: object) -> str:
    """`value` as JSON on one line, cut to a readable length; control characters come out escaped."""
    try:
        text = json.dumps(value, default=repr)
    except ValueError:  # Python prints no integer of more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
