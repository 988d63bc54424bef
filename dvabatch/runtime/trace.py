"""The recorded trace: every call of the machine, so that a run can be replayed into a fresh one, byte for byte.

One JSON object a line. The first is the header: limits, the policy's digest, and the profile with its digest, whole, since a
report rounds it. Then one line a call: `{"now_ns": ..., "events": [[name, field...], ...], "commands": [...]}`,
and in a real run `"took_ns"`, how long the machine decided.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol, get_args, get_type_hints

from dvabatch.batching.commands import Command
from dvabatch.batching.errors import BatchingError, ProfileError
from dvabatch.batching.events import Event
from dvabatch.batching.history import History, Step
from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.runtime.instants import NEVER

VERSION = 2
MAX_LINE_CHARS = 1 << 26  # a burst of a million arrivals in one instant
_TO_JSON = json.JSONEncoder(separators=(",", ":")).encode
_EVENTS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}
_FIELDS: dict[str, list[Any]] = {name: list(get_type_hints(kind).values()) for name, kind in _EVENTS.items()}


class TraceError(Exception):
    """A trace cannot be read, or is not a trace of this machine."""


class Listener(Protocol):
    """Who hears of every call of a machine."""

    def record(
        self, now_ns: int, events: Sequence[Event], commands: Sequence[Command], took_ns: int | None = None
    ) -> None:
        """One call of `handle` and its answer; in a real run with how long it took."""


class Listeners:
    """Several that hear the same."""

    def __init__(self, *each: Listener) -> None:
        self._each = each

    def record(
        self, now_ns: int, events: Sequence[Event], commands: Sequence[Command], took_ns: int | None = None
    ) -> None:
        for listener in self._each:
            listener.record(now_ns, events, commands, took_ns)


class Recorder:
    """Writes a trace as it happens."""

    def __init__(self, machine: Machine, sink: IO[str]) -> None:
        self._sink = sink
        sink.write(_line(_header(machine)))

    def record(
        self, now_ns: int, events: Sequence[Event], commands: Sequence[Command], took_ns: int | None = None
    ) -> None:
        """One call of `handle` and its answer."""
        self._sink.write(_call(now_ns, events, commands, took_ns))


def encode(fact: Event | Command) -> list[Any]:
    """A fact as [name, field, ...]; values inside it as plain lists."""
    return [type(fact).__name__, *_plain(fact)]


def decode_event(entry: Sequence[Any]) -> Event:
    """The event that `encode` wrote.

    Raises:
        TraceError: it is none.
    """
    try:
        name, *values = entry
        wanted = _FIELDS[name]
        if len(values) != len(wanted):
            raise ValueError(f"it has {len(values)} fields, wanted {len(wanted)}")
        event: Event = _EVENTS[name](*map(_field, values, wanted))
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(f"{entry!r:.200} is no event: {error}") from error
    return event


def read_profile(header: str) -> Profile:
    """The profile in a trace's first line.

    Raises:
        TraceError: the line is no header, that of another version, or holds no profile.
    """
    try:
        facts = json.loads(header)
        version = facts["trace"]
        if version != VERSION:
            raise TraceError(
                f"the trace has form {version!r}, this version reads form {VERSION}: record it again with --trace"
            )
        return Profile.from_table(facts["table"])
    except (ValueError, KeyError, TypeError, AttributeError, ProfileError, RecursionError) as error:
        raise TraceError(f"line 1 is no header of a trace: {error}") from error


def retrace(lines: Iterable[str], history: History) -> Iterator[Step]:
    """A recorded run once more, step by step, held to the record at each.

    Raises:
        TraceError: the trace is not of this machine, is damaged, or the machine now answers otherwise.
    """
    for number, line, now_ns, events, took_ns in _calls(lines, history.machine):
        try:
            step = history.step(events, now_ns)
        except BatchingError as error:
            raise TraceError(f"line {number} cannot have happened: {error}") from error
        again = _call(now_ns, events, step.commands, took_ns)
        if again != line:
            raise TraceError(
                f"line {number} does not replay: recorded was {line.strip():.300}, the machine now gives "
                f"{again.strip():.300}; the run is of another version, or the trace was changed: record it again"
            )
        yield step


def _calls(lines: Iterable[str], machine: Machine) -> Iterator[tuple[int, str, int, list[Event], int | None]]:
    """Line number, line, instant, events and duration of every call, if the header is this machine's."""
    numbered = enumerate(lines, 1)
    _, first = next(numbered, (0, ""))
    if first != _line(_header(machine)):
        raise TraceError(_unlike(first, _header(machine)))
    for number, line in numbered:
        try:
            if len(line) > MAX_LINE_CHARS:
                raise ValueError(f"it is longer than {MAX_LINE_CHARS:,} characters")
            call = json.loads(line)
            now_ns = call["now_ns"]
            if type(now_ns) is not int or not 0 <= now_ns < NEVER:
                raise ValueError(f"now_ns is {_short(now_ns)}, wanted whole nanoseconds from 0 on")
            took_ns = call.get("took_ns")
            if took_ns is not None and (type(took_ns) is not int or not 0 <= took_ns < NEVER):
                raise ValueError(f"took_ns is {_short(took_ns)}, wanted whole nanoseconds from 0 on")
            events = [decode_event(event) for event in call["events"]]
        except (ValueError, KeyError, TypeError, RecursionError, TraceError) as error:
            raise TraceError(f"line {number} is damaged: {error}") from error
        yield number, line, now_ns, events, took_ns


def _unlike(first: str, wanted: Mapping[str, Any]) -> str:
    """In which facts a header is not the machine's; the profile's table is told by its digest."""
    try:
        found = dict(json.loads(first))
    except (ValueError, TypeError, RecursionError):
        return f"the trace was recorded with {first.strip()[:200] or 'nothing'}, wanted a header: it is damaged"
    apart = [name for name in {**wanted, **found} if name != "table" and found.get(name) != wanted.get(name)]
    told = "; ".join(f"{name} {found.get(name)!r:.200}, the machine has {wanted.get(name)!r:.200}" for name in apart)
    return f"the trace was recorded with {told or 'another table of the profile than its digest says'}"


def _header(machine: Machine) -> dict[str, Any]:
    return {
        "trace": VERSION,
        "limits": _plain(machine.limits),
        "profile": machine.profile.digest,
        "policy": machine.policy.digest,
        "table": machine.profile.to_table(),
    }


def _call(now_ns: int, events: Sequence[Event], commands: Sequence[Command], took_ns: int | None = None) -> str:
    call = {"now_ns": now_ns, "events": [encode(e) for e in events], "commands": [encode(c) for c in commands]}
    return _line(call if took_ns is None else {**call, "took_ns": took_ns})


def _field(value: Any, wanted: Any) -> Any:
    """A value of an event, which is a whole number, a text or a query."""
    if wanted is Query and type(value) is list:
        numbers = value[:2]
        sound = all(type(number) is int and 0 <= number < NEVER for number in numbers) and len(numbers) == 2
        if not sound or any(each is not None and (type(each) is not int or abs(each) >= NEVER) for each in value[2:]):
            raise ValueError(f"{_short(value)} is no query")
        return Query(*value)
    if type(value) is not wanted:
        raise ValueError(f"{_short(value)} is not of type {wanted.__name__}")
    return value


def _short(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # Python prints no integer of more than some thousand digits
        return "a number of thousands of digits"


def _plain(value: Any) -> Any:
    if type(value) is int or value is None:  # most are
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return value


def _line(document: dict[str, Any]) -> str:
    return _TO_JSON(document) + "\n"
