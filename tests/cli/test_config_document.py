"""Config files that are no config files."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch_cli.config import ConfigError
from dvabatch_cli.config.document import MAX_FILE_BYTES, parse_document, read_document


def message(data: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_document(data, "x.json")
    return str(caught.value)


def test_comments_trailing_commas_and_a_byte_order_mark_are_read() -> None:
    data = b'\xef\xbb\xbf// head\n{ "a": [1, 2, /* two */ ], // a\n "b": "//", \n// end\n }'
    document = parse_document(data, "x.json")
    assert document.raw == {"a": [1, 2], "b": "//"}
    assert document.where(("b",)) == "x.json:3"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "x.json:1: got what does not parse (the document is empty)"),
        (b'{\n"a": 1\n"b": 2 }', "x.json:3: got what does not parse (missing a comma or "),
        ('{ "é": 1,\n\n tru }'.encode(), "x.json:3: got what does not parse"),
        (b"[1,\n2", "x.json:2: got what does not parse"),
        (b"[1]\n/* open", "x.json:2: got what does not parse"),
        (b'{ "a": 1,\n"a": 2 }', "x.json:2: a: got the key a second time (first on line 1)"),
        (b'{ "a":\n{ "b": NaN } }', "x.json:2: a.b: got NaN, wanted a finite number"),
        (b'{ "a": 1e999 }', "x.json:1: got what does not parse (number too big"),
        (b'{ "a": ' + b"1" * 5000 + b" }", "x.json: got a number of thousands of digits"),
        (b'{ "a":\n"\xff" }', "x.json:2: got the byte 0xff, wanted text in UTF-8"),
        (b'"\\ud800"', "x.json:1: got what does not parse"),
        (b"[" * 20 + b"]" * 20, "x.json:1: got more than 16 levels"),
        (b"[" * 100_000, "x.json: got nesting without end"),
        (b" " * (MAX_FILE_BYTES + 1), "x.json: got more than 1048576 bytes"),
    ],
)
def test_what_is_not_json_is_refused_with_its_line(data: bytes, where: str) -> None:
    assert message(data).startswith(where)


def test_all_repeated_keys_are_named() -> None:
    assert len(message(b'{"a":1,"a":2,\n"b":[{"c":1,\n"c":2}]}').splitlines()) == 2


def test_the_size_is_bounded_inclusively() -> None:
    assert parse_document(b"1".rjust(MAX_FILE_BYTES), "x.json").raw == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.json: got a file that cannot be read"):
        read_document(tmp_path / "gone.json")


@given(st.binary(max_size=40) | st.text(alphabet='[]{}:,"\\/* \n01-.eaNInfty', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_document(data, "x.json")
