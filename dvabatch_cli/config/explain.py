"""A validation error of pydantic in the words of a Problem: what came, what was wanted, what to do."""

import re
from typing import Any

from pydantic_core import ErrorDetails

from dvabatch_cli.config.document import Document
from dvabatch_cli.config.error import Finding, Problem, shown
from dvabatch_cli.config.known import family, kinds_with, known_names
from dvabatch_cli.config.paths import Path
from dvabatch_cli.config.suggest import did_you_mean, listed

_WANTED = {
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "at least {min_length} value",
    "too_long": "at most {max_length} values",
    "string_too_short": "a text of at least {min_length} character",
}


def explain(details: ErrorDetails, raw: Any, document: Document) -> Problem | None:
    """`details` as a Problem, where `raw` is what was validated: `document` with its defaults filled in.

    None for what only repeats another error: a list counts as too short when enough of its items are malformed.
    """
    path, value = _place(details["loc"], raw)
    kind = details["type"]
    if kind == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]:
        return None
    if kind == "extra_forbidden":
        return document.problem(_unknown(path, raw), name=True)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return document.problem(_unknown_kind(path, value))
    if kind == "missing":
        wanted = "one value more" if isinstance(value, tuple) else "a value: it is required"
        came = shown(value) if isinstance(value, tuple) else "nothing"
        return document.problem(Finding(path, came, wanted))
    return document.problem(_wrong_value(path, value, details))


def _wrong_value(path: Path, value: Any, details: ErrorDetails) -> Finding:
    kind, context = details["type"], details.get("ctx", {})
    hint = ""
    if kind == "value_error":
        wanted = str(context["error"])
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        wanted = listed(choices)
        hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    else:
        template = _WANTED.get(kind)
        wanted = (
            details["msg"].removeprefix("Input should be ")
            if template is None
            else template.format(**_readable(context))
        )
    if kind == "less_than_equal" and "utilization" in path:
        hint = "it is a fraction of the capacity: 0.3 is 30 %"
    return Finding(path, shown(value), wanted, hint)


def _readable(context: dict[str, Any]) -> dict[str, Any]:
    """Bounds without a needless ".0"."""
    return {name: int(value) if value == int(value) else value for name, value in context.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _unknown(path: Path, raw: Any) -> Finding:
    parent, name = path[:-1], str(path[-1])
    section = raw
    for step in parent:
        section = section[step]
    known = known_names(parent, section)
    hint = did_you_mean(name, known)
    others = kinds_with(parent, name)
    if others:
        hint = f"it is an option of {', '.join(others)}"
    return Finding(path, "an unknown key", listed(known), hint)


def _unknown_kind(path: Path, value: Any) -> Finding:
    found = family(path)
    if found is None:
        raise ValueError(f"got a choice between kinds of section at {path}, wanted one that known.family lists")
    key, kinds = found
    given = value.get(key)
    came = "nothing" if given is None else shown(given)
    hint = did_you_mean(given, kinds) if isinstance(given, str) else ""
    return Finding((*path, key), came, listed(kinds), hint)


def _place(loc: tuple[str | int, ...], raw: Any) -> tuple[Path, Any]:
    """The path in `raw` that `loc` means, and the value there (of the parent, where it is missing).

    pydantic puts the kind of a section behind its path, and speaks of item 0 where one number stands for a list.
    """
    steps = list(loc)
    if steps[:1] in (["policies"], ["faults"]):
        del steps[2:3]
    elif steps[:1] in (["model"], ["load"]):
        del steps[1:2]
    if steps[:2] == ["load", "lengths"]:
        del steps[2:3]
    path: Path = ()
    for step in steps:
        if isinstance(raw, dict) and isinstance(step, str):
            path = (*path, step)
            if step not in raw:
                break
            raw = raw[step]
        elif isinstance(raw, tuple) and isinstance(step, int) and step < len(raw):
            path, raw = (*path, step), raw[step]
        else:
            break
    return path, raw
