from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.reporting.canonical import compact, plain, pretty
from dvabatch.reporting.errors import ReportError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(), values))
def test_what_is_written_reads_back_and_is_written_the_same(value: dict[str, Any]) -> None:
    text = pretty(value)
    read = json.loads(text)
    assert read == plain(value)
    assert pretty(read) == text
    assert json.loads(compact(value)) == read


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(), values), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert compact(dict(items)) == compact(value)


def test_numbers_sort_as_numbers_and_leading_keys_lead() -> None:
    assert compact({10: 1, 2: 1, "mean": 1, "p99": 1}) == '{"2":1,"10":1,"mean":1,"p99":1}'
    assert list(json.loads(pretty({"a": 1, "z": {}, "b": [[1], {}]}, first=("z", "missing")))) == ["z", "a", "b"]


def test_noise_in_the_last_digits_of_a_float_is_dropped() -> None:
    assert compact([0.1 + 0.2, 1e-4, 123456.789012, np.float32(0.5), np.int64(3), (True, None)]) == (
        "[0.3,0.0001,123456.789012,0.5,3,[true,null]]"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, float("nan")]}, r"report\.a\[1\] is nan"),
        ({"a": float("inf")}, r"report\.a is inf"),
        ({"a": {1: 0, "1": 0}}, r"report\.a has keys that read the same"),
        ({"a": b"x"}, r"report\.a is a bytes"),
        ({"a": np.zeros(3)}, r"report\.a is a ndarray"),
    ],
)
def test_what_json_cannot_say_is_refused_where_it_is(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ReportError, match=message):
        pretty(value)
