"""Ways in which a file comes to be wrong: bytes that were lost, doubled or changed, and values that are something else."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.cli.test_config_fuzz import change

PIECES = (
    b"",
    b"\0",
    b"\xff",
    b'"',
    b"[" * 40,
    b"{" * 40,
    b"}",
    b"]",
    b",",
    b":",
    b"\n",
    b"-",
    b"0",
    b"9" * 30,
    b"9" * 5000,
    b"1e999",
    b"NaN",
    b"-Infinity",
    b"null",
    b"true",
    b"\\ud800",
    b"/*",
    b"//",
    b"../",
)


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with one to three of its pieces replaced: by nothing, by another piece of it, or by something that hurts."""
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.sampled_from([0, 1, 1, 2, 8, 200])))
        source = draw(st.integers(0, len(data)))
        piece = draw(st.sampled_from((*PIECES, data[source : source + 30])))
        data = data[:begin] + piece + data[end:]
    return data


def damage_values(raw: Any, data: st.DataObject) -> None:
    """Sets, adds or takes away one to three values somewhere in a JSON document, in place."""
    for _ in range(data.draw(st.integers(1, 3))):
        change(raw, data)
