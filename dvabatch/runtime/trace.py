"""The recorded trace: every call of the machine, so that a run can be replayed into a fresh one, byte for byte.

One JSON object a line. The first is the header: limits, digests of profile and policy. Then one line a call:
`{"now_ns": ..., "events": [[name, field...], ...], "commands": [...]}`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, get_args

from dvabatch.batching.commands import Command
from dvabatch.batching.events import Event
from dvabatch.batching.machine import Machine
from dvabatch.batching.query import Query

VERSION = 1
_EVENTS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}


class TraceError(Exception):
    """A trace cannot be read, or is not a trace of this machine."""


class Recorder:
    """Writes a trace as it happens."""

    def __init__(self, machine: Machine, sink: IO[str]) -> None:
        self._sink = sink
        sink.write(_line(_header(machine)))

    def record(self, now_ns: int, events: Sequence[Event], commands: Sequence[Command]) -> None:
        """One call of `handle` and its answer."""
        call = {"now_ns": now_ns, "events": [encode(e) for e in events], "commands": [encode(c) for c in commands]}
        self._sink.write(_line(call))


def encode(fact: Event | Command) -> list[Any]:
    """A fact as [name, field, ...]; values inside it as plain lists."""
    return [type(fact).__name__, *_plain(fact)]


def decode_event(entry: Sequence[Any]) -> Event:
    """The event that `encode` wrote.

    Raises:
        TraceError: it is none.
    """
    try:
        kind = _EVENTS[entry[0]]
        fields = [Query(*value) if isinstance(value, list) else value for value in entry[1:]]
        event: Event = kind(*fields)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise TraceError(f"{entry!r} is no event: {error}") from error
    return event


def replay(lines: Iterable[str], machine: Machine) -> Iterator[tuple[int, str, str]]:
    """Feeds a trace into a fresh machine: for every call, its line number, the commands recorded and those given now.

    Raises:
        TraceError: the trace is not of this machine's limits, profile and policy, or is damaged.
    """
    numbered = enumerate(lines, 1)
    _, first = next(numbered, (0, ""))
    if first != _line(_header(machine)):
        raise TraceError(
            f"the trace was recorded with {first.strip() or 'nothing'}, the machine is {_line(_header(machine)).strip()}"
        )
    for number, line in numbered:
        try:
            call = json.loads(line)
            events, now_ns, recorded = [decode_event(e) for e in call["events"]], call["now_ns"], call["commands"]
        except (ValueError, KeyError, TypeError) as error:
            raise TraceError(f"line {number} is damaged: {error}") from error
        commands = [encode(command) for command in machine.handle(events, now_ns)]
        yield number, json.dumps(recorded), json.dumps(commands)


def _header(machine: Machine) -> dict[str, Any]:
    return {
        "trace": VERSION,
        "limits": _plain(machine.limits),
        "profile": machine.profile.digest,
        "policy": machine.policy.digest,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return value


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":")) + "\n"
