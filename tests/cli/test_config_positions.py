"""The position map against documents that are written with known lines."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch_cli.config.document import parse_value
from dvabatch_cli.config.paths import Path
from dvabatch_cli.config.positions import MAX_DEPTH, map_positions

FILLERS = ("", "", " ", "\n", "\t", "\r\n", '// , ] } " x\n', "//\n", '/* " \n ] // */', "/**/", "/***/", "/*/ \n*/")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


class Writer:
    """Writes a value as JSON with random space and comments, and notes on which line everything lands."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.text = ""
        self.values: dict[Path, int] = {}
        self.names: dict[Path, int] = {}

    def write(self, value: Any, path: Path = ()) -> None:
        self.fill()
        self.values[path] = self.line
        if isinstance(value, list):
            self.items("[", "]", [(None, item, (*path, index)) for index, item in enumerate(value)])
        elif isinstance(value, dict):
            self.items("{", "}", [(name, item, (*path, name)) for name, item in value.items()])
        else:
            self.text += self.token(value)
        self.fill()

    def items(self, first: str, last: str, items: list[tuple[str | None, Any, Path]]) -> None:
        self.text += first
        for index, (name, item, path) in enumerate(items):
            if name is not None:
                self.fill()
                self.names[path] = self.line
                self.text += self.token(name)
                self.fill()
                self.text += ":"
            self.write(item, path)
            if index < len(items) - 1 or self.rng.random() < 0.5:
                self.text += ","
                self.fill()
        self.fill()
        self.text += last

    def token(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=self.rng.random() < 0.5)

    def fill(self) -> None:
        self.text += "".join(self.rng.choices(FILLERS, k=self.rng.randrange(3)))

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1


@given(documents, st.randoms(use_true_random=False))
def test_every_path_has_its_line(value: Any, rng: random.Random) -> None:
    writer = Writer(rng)
    writer.write(value)
    assert parse_value(writer.text) == value
    positions = map_positions(writer.text)
    assert dict(positions.values) == writer.values
    assert dict(positions.names) == writer.names
    assert positions.faults == ()


@given(st.text(alphabet='[]{}:,"\\/* \n01-.eaNInfty', max_size=30))
def test_whatever_the_parser_accepts_has_a_line_for_all_of_it(text: str) -> None:
    try:
        value = parse_value(text)
    except ValueError:
        return
    positions = map_positions(text)
    if not positions.faults:
        assert set(positions.values) == set(paths(value))


def paths(value: Any, path: Path = ()) -> list[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, item in items for found in paths(item, (*path, name)))]


def test_a_path_that_is_missing_has_the_line_around_it() -> None:
    positions = map_positions('{\n"a": {\n"b":\n1 } }')
    assert positions.line(("a", "b", "c", 3)) == 4
    assert positions.line(("a", "x")) == 2
    assert positions.line(("x",)) == 1
    assert positions.name_line(("a", "b")) == 3


def test_a_repeated_key_is_found_whatever_its_spelling() -> None:
    [(line, fault)] = map_positions('{ "ab": 1,\n "x": { "ab": 2 },\n "\\u0061b": 3 }').faults
    assert (line, fault.path) == (3, ("ab",))
    assert "first on line 1" in fault.came


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "Inf", "-Inf"])
def test_numbers_that_are_not_finite_are_found(token: str) -> None:
    [(line, fault)] = map_positions(f'{{ "a": [1,\n"{token}", {token}] }}').faults
    assert (line, fault.path, fault.came) == (2, ("a", 2), token)


def test_depth_is_bounded() -> None:
    assert not map_positions("[" * MAX_DEPTH + "]" * MAX_DEPTH).faults
    deeper = MAX_DEPTH + 1
    [(line, fault)] = map_positions("[\n" * deeper + "]" * deeper).faults
    assert (line, fault.came) == (deeper, f"more than {MAX_DEPTH} levels")
