"""`--set load.request_rate=200`: any value of a config, set from the command line, by that or by an option of its own."""

import shlex
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dvabatch_cli.config.document import Document, parse_value
from dvabatch_cli.config.error import ConfigError, Finding, Problem, shown
from dvabatch_cli.config.paths import Path, render, split_assignment
from dvabatch_cli.config.positions import map_positions
from dvabatch_cli.config.suggest import listed

# What an option, once set, takes the place of, by section: or a config with a utilization could not be run at a request
# rate.
_REPLACES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "model": {"network": ("onnx", "shapes", "bind"), "onnx": ("network", "input", "seed")},
    "load": {
        "utilization": ("request_rate", "unit"),
        "request_rate": ("utilization", "unit"),
        "unit": ("utilization", "request_rate"),
        "num_requests": ("duration_s",),
        "duration_s": ("num_requests", "max_duration_s"),
    },
    "policies": {
        "max_queue_delay_microseconds": ("max_queue_delay_of_whole",),
        "max_queue_delay_of_whole": ("max_queue_delay_microseconds",),
        "max_allow_merge_microseconds": ("max_allow_merge_of_whole",),
        "max_allow_merge_of_whole": ("max_allow_merge_microseconds",),
    },
}


@dataclass(frozen=True, slots=True)
class Override:
    """A value that an option of its own sets: the option as it was typed, and `path=value`.

    `over` are the values that it may take the place of; empty: any.
    """

    option: str
    assignment: str
    over: tuple[str, ...] = ()


def apply_overrides(document: Document, assignments: Iterable[str | Override]) -> Document:
    """`document` with each `path=value` of `assignments` set; of those of `--set` a later one wins over an earlier one. What an
    option of its own sets as well is refused, unless both say the same.

    A value is read as JSON, and as text where it is none; null takes away what the file gives, so that the default
    holds. An option takes the place of those that say the same in another way. Steps of a path stand behind dots or in
    brackets (`policies.0.instances`, `policies[0].instances`, `inputs["a.b"].pad`). Sections that the file leaves out
    are made; whether their names are known, validation says. Raises ConfigError with all that cannot be set.
    """
    raw = _copied(document.raw)
    overrides: dict[Path, str] = dict(document.overrides)
    problems: list[Problem] = []
    own: set[Path] = set()
    for given in assignments:
        override = given if isinstance(given, Override) else _set_option(given)
        option = override.option
        try:
            steps, text = split_assignment(override.assignment)
        except ValueError:
            wanted = "PATH=VALUE, for example load.request_rate=200"
            problems.append(Problem(option, "", "no path and value", wanted))
            continue
        value, found = _value(text)
        path, lost = _resolve(raw, steps)
        is_own = override is given
        found = lost or found or _taken(raw, path, value, override, overrides, own, is_own=is_own)
        if found is not None:
            problems.append(Problem(option, render(path), found.came, found.wanted, found.hint))
            continue
        _set(raw, path, value, kept=overrides)
        overrides = {other: each for other, each in overrides.items() if other[: len(path)] != path}
        overrides[path] = option
        if is_own:
            own.add(path)
    if problems:
        raise ConfigError(problems)
    return replace(document, raw=raw, overrides=overrides)


def typed(command: str, config: str, assignments: Iterable[str | Override]) -> str:
    """The command line that runs `command` on this config with all that was set."""
    words = [command, shlex.quote(config)]
    for each in assignments:
        if not isinstance(each, Override):
            words.append(f"--set {shlex.quote(each)}")
        elif each.option not in words:  # one may set several values
            words.append(each.option)
    return " ".join(words)


def set_over(assignments: Iterable[str | Override], assignment: str) -> list[str | Override]:
    """`assignments` and `assignment` behind them, without those of which it takes the place."""
    section, name = sets(assignment)
    replaced = _REPLACES.get(str(section), {}).get(str(name), ())
    gone = {(section, each) for each in (name, *replaced)}
    kept = [each for each in assignments if sets(each.assignment if isinstance(each, Override) else each) not in gone]
    return [*kept, assignment]


def sets(assignment: str) -> Path:
    """The steps that a `path=value` names; none where it is none."""
    try:
        return split_assignment(assignment)[0]
    except ValueError:
        return ()


def _set_option(assignment: str) -> Override:
    return Override(f"--set {assignment if assignment.isprintable() else ascii(assignment)}", assignment)


def _taken(
    raw: Any,
    path: Path,
    value: Any,
    override: Override,
    overrides: Mapping[Path, str],
    own: Container[Path],
    *,
    is_own: bool,
) -> Finding | None:
    """A finding for a value that another option set otherwise, or that this one may not take the place of. `is_own`: it is an
    option of its own, as those are that set the paths `own`; else a `--set`."""
    present = _at(raw, path)
    if override.over and present is not None and present not in override.over:
        return Finding((), shown(present), listed(override.over), f"{override.option} means nothing there")
    if path in overrides and (is_own or path in own) and overrides[path] != override.option and present != value:
        hint = "remove one of them"
        return Finding((), f"both {overrides[path]} and {override.option}", "only one of them", hint)
    return None


def _at(raw: Any, path: Path) -> Any:
    """What lies at `path`; None where nothing does."""
    for step in path:
        if isinstance(step, int):
            raw = raw[step] if isinstance(raw, list) else None
        else:
            raw = raw.get(step) if isinstance(raw, dict) else None
    return raw


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
