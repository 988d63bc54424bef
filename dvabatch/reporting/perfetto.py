"""A timeline's file: events in, bytes out, and the facts of the run beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from .timeline import Event

_EVENTS = 4096  # a chunk


def chunks(events: Iterable[Event], facts: Callable[[], Mapping[str, Any]]) -> Iterator[bytes]:
    """The JSON object form of Chrome's trace events, an event a line. `facts` is asked last, for `otherData`."""
    yield b'{"displayTimeUnit":"ms","traceEvents":[\n'
    lines = (json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in events)
    separator = ""
    while chunk := list(islice(lines, _EVENTS)):
        yield (separator + ",\n".join(chunk)).encode()
        separator = ",\n"
    other = json.dumps(dict(facts()), separators=(",", ":"), ensure_ascii=False)
    yield f'\n],"otherData":{other}}}\n'.encode()
