"""Replay of recorded arrivals from a file; everything in the file is doubted."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from dvabatch.loadgen.errors import LoadFileError
from dvabatch.loadgen.extent import MAX_ARRIVALS, MAX_NS, NS_PER_S, Extent, Nanoseconds, check_positive, to_ns
from dvabatch.loadgen.lengths import MAX_LENGTH, RecordedLengths

Format = Literal["csv", "intervals", "jsonl"]

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "intervals",
    ".intervals": "intervals",
}

_MAX_LINE = 4096

# Stricter than float() and Decimal(): no nan, inf, underscores, foreign digits or exponents that take for ever.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Arrivals as they were recorded; the seed changes nothing and it ends with the record.

    `offsets_ns` are sorted int64 nanoseconds from 0, at least two of them different; `lengths` goes with them or is None.
    The mean rate is that of the gaps between the first and the last.
    """

    offsets_ns: Nanoseconds
    lengths: RecordedLengths | None = None
    name: ClassVar[str] = "replay"

    def __post_init__(self) -> None:
        offsets = np.array(self.offsets_ns, dtype=np.int64)
        offsets.setflags(write=False)
        object.__setattr__(self, "offsets_ns", offsets)
        if offsets.ndim != 1 or len(offsets) < 2 or offsets[0] == offsets[-1]:
            raise ValueError(f"a replay needs at least two arrivals at different times, got {offsets.tolist()[:5]}")
        if offsets[0] < 0 or (np.diff(offsets) < 0).any():
            raise ValueError("a replay's offsets_ns must be sorted and start at 0 or later: sort the record by time")
        if self.lengths is not None and len(self.lengths) != len(offsets):
            raise ValueError(f"a replay needs a length per arrival, got {len(self.lengths)} for {len(offsets)}")

    @property
    def mean_rate_rps(self) -> float:
        return (len(self.offsets_ns) - 1) * NS_PER_S / int(self.offsets_ns[-1] - self.offsets_ns[0])

    def at_rate(self, rate_rps: float) -> "Replay":
        """The record with its time stretched, so that its mean rate becomes `rate_rps`."""
        check_positive("rate_rps", rate_rps)
        stretch = np.float64(self.mean_rate_rps / rate_rps / NS_PER_S)
        return Replay(to_ns(self.offsets_ns * stretch), self.lengths)

    def arrivals_ns(self, num_requests: int | None, duration_s: float | None, seed: int) -> Nanoseconds:
        return Extent(num_requests, duration_s).clip(self.offsets_ns)


def read_replay(path: Path, format: Format | None = None) -> Replay:
    """The record in `path`, which must be UTF-8 and sorted by time.

    * "csv" (.csv): timestamps in seconds, and lengths if there is a second column. A header may name the columns
      `timestamp` and `length`; others are then ignored.
    * "jsonl" (.jsonl, .ndjson): objects with `timestamp` in seconds and, in all or none of them, `length`.
    * "intervals" (.txt, .intervals): one interval in microseconds per line, the first counted from 0.

    Timestamps are shifted so that the first is 0. Raises LoadFileError with file and line.
    """
    kind = format or _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise LoadFileError(
            f"{path}: cannot tell the format of a replay by {path.suffix!r}: name it {', '.join(_FORMATS)}"
        )
    reader = _Reader(path)
    read = {"csv": _read_csv, "jsonl": _read_jsonl, "intervals": _read_intervals}[kind]
    try:
        read(reader)
    except OSError as error:
        raise LoadFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return reader.replay()


class _Reader:
    """Walks through the lines, and collects what they say under the rules that all formats share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.line = 0
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        self._first: Decimal | None = None
        self._elapsed = Decimal(0)

    def lines(self) -> Iterator[str]:
        """The lines without blank ones; none is read further than a line of ours can be long."""
        with self._path.open("rb") as file:
            for raw in iter(lambda: file.readline(_MAX_LINE + 1), b""):
                self.line += 1
                if len(raw) > _MAX_LINE:
                    raise self.error(f"is longer than {_MAX_LINE} bytes: is this the right file?")
                try:
                    text = raw.decode("utf-8-sig" if self.line == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise self.error(f"is not UTF-8 text: {error.reason}") from error
                if text:
                    yield text

    def error(self, what: str) -> LoadFileError:
        return LoadFileError(f"{self._path}: line {self.line}: {what}")

    def number(self, text: str) -> Decimal:
        if not _NUMBER.fullmatch(text):
            raise self.error(f"{_short(text)} is not a number")
        return Decimal(text)  # exact: a float holds today's time only to a quarter of a microsecond

    def add_timestamp(self, seconds: Decimal) -> None:
        if seconds < 0:
            raise self.error(f"the timestamp {_short(seconds)} is negative: give seconds from any past moment")
        if self._first is None:
            self._first = seconds
        self._add_offset((seconds - self._first) * NS_PER_S)

    def add_interval(self, microseconds: Decimal) -> None:
        if microseconds < 0:
            raise self.error(f"the interval {_short(microseconds)} is negative: sort the record by time")
        self._elapsed += microseconds * 1000  # a Decimal, so that roundings do not add up
        self._add_offset(self._elapsed)

    def add_length(self, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not 1 <= value <= MAX_LENGTH:
            raise self.error(f"the length {_short(value)} is not a whole number from 1 to {MAX_LENGTH}")
        if value != int(value):
            raise self.error(f"the length {_short(value)} is not whole")
        self._lengths.append(int(value))

    def check_length_given(self) -> None:
        """Called after each arrival: lengths come with all or with none."""
        if len(self._lengths) not in {0, len(self._offsets)}:
            raise self.error("lengths must come with every arrival or with none")

    def replay(self) -> Replay:
        lengths = RecordedLengths(np.array(self._lengths)) if self._lengths else None
        try:
            return Replay(np.array(self._offsets, dtype=np.int64), lengths)
        except ValueError as error:
            raise LoadFileError(f"{self._path}: {error}") from error

    def _add_offset(self, nanoseconds: Decimal) -> None:
        if nanoseconds > MAX_NS:
            raise self.error("lies more than 146 years after the first: timestamps are in seconds")
        offset = round(nanoseconds)
        if self._offsets and offset < self._offsets[-1]:
            raise self.error("is earlier than the line before: sort the record by time")
        if len(self._offsets) >= MAX_ARRIVALS:
            raise self.error(f"is past the {MAX_ARRIVALS:,} arrivals that a replay may hold: split the record")
        self._offsets.append(offset)


def _read_intervals(reader: _Reader) -> None:
    for text in reader.lines():
        reader.add_interval(reader.number(text))


def _read_csv(reader: _Reader) -> None:
    columns: dict[str, int] | None = None
    width = 0
    for text in reader.lines():
        cells = [cell.strip().strip('"') for cell in text.split(",")]
        if columns is None:
            width = len(cells)
            if _NUMBER.fullmatch(cells[0]):
                if width > 2:
                    raise reader.error(f"has {width} columns and no header to name them: name timestamp and length")
                columns = {"timestamp": 0, "length": 1} if width == 2 else {"timestamp": 0}
            else:
                columns = _header(reader, cells)
                continue
        if len(cells) != width:
            raise reader.error(f"has {len(cells)} columns where the first line has {width}")
        reader.add_timestamp(reader.number(cells[columns["timestamp"]]))
        if "length" in columns:
            reader.add_length(reader.number(cells[columns["length"]]))


def _header(reader: _Reader, cells: list[str]) -> dict[str, int]:
    names = [cell.lower() for cell in cells]
    if len(names) == 1:
        return {"timestamp": 0}
    if names.count("timestamp") != 1 or names.count("length") > 1:
        raise reader.error(
            f"the header {_short(','.join(cells))} must name one column timestamp, and one length at most"
        )
    return {name: names.index(name) for name in ("timestamp", "length") if name in names}


def _read_jsonl(reader: _Reader) -> None:
    for text in reader.lines():
        record = _object(reader, text)
        timestamp = record.get("timestamp")
        if not isinstance(timestamp, Decimal):
            raise reader.error(f'needs a number of seconds as "timestamp", got {_short(timestamp)}')
        reader.add_timestamp(timestamp)
        if record.get("length") is not None:
            reader.add_length(record["length"])
        reader.check_length_given()


def _object(reader: _Reader, text: str) -> dict[str, object]:
    def refuse(name: str) -> None:
        raise reader.error(f"{name} is not a number that JSON knows")

    number: Callable[[str], Decimal] = reader.number
    try:
        record = json.loads(text, parse_float=number, parse_int=number, parse_constant=refuse)
    except LoadFileError:
        raise
    except (ValueError, RecursionError) as error:  # thousands of brackets end the recursion before they end the text
        raise reader.error(f"is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise reader.error(f"is not a JSON object, got {_short(text)}")
    return record


def _short(value: object) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
