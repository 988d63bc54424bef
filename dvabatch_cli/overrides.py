"""`--set load.request_rate=200`: any value of a config, set from the command line."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from dvabatch_cli.config.document import Document, parse_value
from dvabatch_cli.config.error import ConfigError, Finding, Problem, shown
from dvabatch_cli.config.paths import Path, render, split_assignment
from dvabatch_cli.config.positions import map_positions

# What an option, once set, takes the place of, by section: or a config with a utilization could not be run at a request
# rate.
_REPLACES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "model": {"network": ("onnx", "shapes", "bind"), "onnx": ("network", "input", "seed")},
    "load": {
        "utilization": ("request_rate", "unit"),
        "request_rate": ("utilization", "unit"),
        "unit": ("utilization", "request_rate"),
        "num_requests": ("duration_s",),
        "duration_s": ("num_requests",),
    },
    "policies": {
        "max_queue_delay_microseconds": ("max_queue_delay_of_whole",),
        "max_queue_delay_of_whole": ("max_queue_delay_microseconds",),
        "max_allow_merge_microseconds": ("max_allow_merge_of_whole",),
        "max_allow_merge_of_whole": ("max_allow_merge_microseconds",),
    },
}


def apply_overrides(document: Document, assignments: Iterable[str]) -> Document:
    """`document` with each `path=value` of `assignments` set; a later one wins over an earlier one.

    A value is read as JSON, and as text where it is none; null takes away what the file gives, so that the default
    holds. An option takes the place of those that say the same in another way. Steps of a path stand behind dots or in
    brackets (`policies.0.instances`, `policies[0].instances`, `inputs["a.b"].pad`). Sections that the file leaves out
    are made; whether their names are known, validation says. Raises ConfigError with all that cannot be set.
    """
    raw = _copied(document.raw)
    overrides: dict[Path, str] = dict(document.overrides)
    problems: list[Problem] = []
    for assignment in assignments:
        option = f"--set {assignment if assignment.isprintable() else ascii(assignment)}"
        try:
            steps, text = split_assignment(assignment)
        except ValueError:
            wanted = "PATH=VALUE, for example load.request_rate=200"
            problems.append(Problem(option, "", "no path and value", wanted))
            continue
        value, found = _value(text)
        path, lost = _resolve(raw, steps)
        found = lost or found
        if found is not None:
            problems.append(Problem(option, render(path), found.came, found.wanted, found.hint))
            continue
        _set(raw, path, value, kept=overrides)
        overrides = {other: each for other, each in overrides.items() if other[: len(path)] != path}
        overrides[path] = option
    if problems:
        raise ConfigError(problems)
    return replace(document, raw=raw, overrides=overrides)


def _value(text: str) -> tuple[Any, Finding | None]:
    """`text` as JSON or as itself; a finding for JSON that no config takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return None, Finding((), ascii(text), "text in UTF-8")
    try:
        value = parse_value(text)
    except RecursionError:
        return None, Finding((), "nesting without end", "a value of a config")
    except ValueError:
        return text, None
    faults = map_positions(text).faults
    return value, faults[0][1] if faults else None


def _resolve(raw: Any, steps: tuple[str, ...]) -> tuple[Path, Finding | None]:
    """The path of `steps` in `raw`: digits are an index in a list and a name elsewhere."""
    path: Path = ()
    for step in steps:
        if isinstance(raw, list):
            known = f"an index from 0 to {len(raw) - 1}" if raw else "no index: the list is empty"
            if not step.isdecimal() or int(step) >= len(raw):
                return path, Finding((), f"the index {shown(step)}", known, "set the whole list to change its length")
            path, raw = (*path, int(step)), raw[int(step)]
        elif isinstance(raw, dict):
            path, raw = (*path, step), raw.get(step, {})
        else:
            hint = f"set {render(path)} itself"
            return path, Finding((), f"the name {shown(step)} inside of {shown(raw)}", "an object or a list", hint)
    return path, None


def _set(raw: Any, path: Path, value: Any, kept: Container[Path]) -> None:
    """Set `path` of `raw` to `value` (None: remove it) and remove what it replaces, unless that is in `kept`."""
    *parents, last = path
    for step in parents:
        raw = raw.setdefault(step, {}) if isinstance(raw, dict) else raw[step]
    if value is None and isinstance(raw, dict) and last in raw:
        del raw[last]
    else:
        raw[last] = value
    if value is None or not isinstance(raw, dict) or len(path) != (3 if path[0] == "policies" else 2):
        return
    for name in _REPLACES.get(str(path[0]), {}).get(str(last), ()):
        if (*parents, name) not in kept:
            raw.pop(name, None)


def _copied(value: Any) -> Any:
    """A copy whose lists and objects may be changed."""
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return {name: _copied(item) for name, item in value.items()} if isinstance(value, dict) else value
