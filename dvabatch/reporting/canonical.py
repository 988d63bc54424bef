"""JSON of which equal values give equal bytes: sorted keys, shortest floats, no NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from .errors import ReportError

# Sums in another order differ in the last digits of a double; twelve digits keep a nanosecond in a quarter of an hour.
_DIGITS: Final = 12


def plain(value: object, path: str = "report") -> Any:
    """The value as sorted dicts, lists and JSON scalars; refuses what JSON cannot say, naming where it is."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ReportError(f"{path} is {value}, wanted a finite number: give null where there is nothing to say")
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        texts = {str(key): item for key, item in value.items()}
        if len(texts) != len(value):
            raise ReportError(f"{path} has keys that read the same, {sorted(texts)}: wanted each key once")
        return {key: plain(texts[key], f"{path}.{key}") for key in sorted(texts, key=_natural)}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    raise ReportError(f"{path} is a {type(value).__name__}, wanted what JSON can say: convert it before reporting")


def compact(value: object) -> str:
    """One line of canonical JSON."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def pretty(value: Mapping[str, object], first: Sequence[str] = ()) -> str:
    """Indented canonical JSON: the keys of `first` lead, in that order; a list or mapping of scalars keeps to a line."""
    sorted_ = plain(value)
    ordered = {key: sorted_[key] for key in first if key in sorted_} | sorted_
    return _indented(ordered, "") + "\n"


def _indented(value: Any, indent: str) -> str:
    deeper = indent + " "
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not any(isinstance(item, dict | list) for item in items):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, dict):
        lines = [
            f"{deeper}{json.dumps(key, ensure_ascii=False)}: {_indented(item, deeper)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _indented(item, deeper) for item in value) + f"\n{indent}]"


def _natural(key: str) -> tuple[int, float, str]:
    """Numbers by size and before words: "2" before "10" before "mean"."""
    try:
        number = float(key)
    except ValueError:
        return 1, 0.0, key
    return (0, number, key) if math.isfinite(number) else (1, 0.0, key)
