"""A run's history as a timeline in Chrome's trace event form, which Perfetto and chrome://tracing open.

The form is the "Trace Event Format" of the Chromium project: `X` slices, `i` instants, `C` counters, `s`, `t`, `f` flows and
`M` names; `ts` and `dur` in microseconds. What is where:

* A process for each stage, a thread for each of its executors. A slice is a launch; one that spans stages holds an executor of
  each until it ends, and is a slice on each of these threads.
* A flow for each query, from its first launch to its last. Its id is the query's.
* The process `batching` has a thread for each kind of operation with its instants (two of one instant are drawn one below the
  other), one for the queries that got no answer, and the counters: queries that wait to enter, launches in flight, and the sum
  of their device shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, get_args

from dvabatch.batching.commands import Deliver, Fail, Forget, Launch, Reject
from dvabatch.batching.history import Done, Kind, Step
from dvabatch.batching.limits import Limits
from dvabatch.batching.profile import Profile

from .errors import ReportError

Event: TypeAlias = dict[str, Any]
MAX_QUERIES: Final = 100_000  # Perfetto keeps a file of this form in memory, some kilobytes a query
_BATCHING: Final = 1  # process ids: stages follow
_KINDS: Final = get_args(Kind)
_NO_ANSWER: Final = len(_KINDS) + 1  # a thread's id
_NEVER: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Window:
    """What is drawn: whatever begins in it. Nanoseconds from the run's first instant."""

    begin_ns: int = 0
    end_ns: int = _NEVER

    def __post_init__(self) -> None:
        if not 0 <= self.begin_ns < self.end_ns:
            raise ReportError(
                f"the window begins at {self.begin_ns / 1e9:g} s and ends at {self.end_ns / 1e9:g} s: it holds nothing; "
                "wanted an end behind the beginning"
            )

    def __contains__(self, now_ns: int) -> bool:
        return self.begin_ns <= now_ns < self.end_ns

    @property
    def is_whole(self) -> bool:
        return (self.begin_ns, self.end_ns) == (0, _NEVER)


@dataclass(slots=True)
class Counts:
    """What was drawn; of a whole run, these are the report's numbers."""

    operations: Counter[str] = field(default_factory=Counter)
    launches: Counter[int] = field(default_factory=Counter)  # by stage
    never_began: Counter[int] = field(default_factory=Counter)  # by stage: queued behind a launch that was lost
    queries: int = 0  # those that were launched
    span_ns: int = 0


class Timeline:
    """Makes events of a history, step by step; `counts` says what was drawn so far."""

    def __init__(self, limits: Limits, profile: Profile, window: Window | None = None) -> None:
        self.counts = Counts()
        self._limits = limits
        self._profile = profile
        self._window = window or Window()
        self._begun: dict[int, tuple[Launch, int]] = {}
        self._flows: dict[int, list[Event]] = {}  # by query: the point that waits to be told whether it is the last
        self._known: dict[str, float] = {}  # what counters said last
        self._named = [limits.executors_per_stage] * limits.stages  # executors that have a name, by stage

    def events(self, steps: Iterable[Step]) -> Iterator[Event]:
        """All events of a run, names first.

        Raises:
            ReportError: the window holds more queries than viewers open.
        """
        yield from self._names()
        window, now_ns = self._window, 0
        for step in steps:
            now_ns = step.now_ns
            yield from self._step(step)
            if now_ns >= window.end_ns and not any(begin_ns in window for _, begin_ns in self._begun.values()):
                break
        self.counts.span_ns = now_ns
        for launch, begin_ns in list(self._begun.values()):
            yield from self._slices(launch, begin_ns, now_ns, "open at the end")
        for query_id in list(self._flows):
            yield from self._last(query_id)

    def _step(self, step: Step) -> Iterator[Event]:
        now_ns = step.now_ns
        over = {query_id: None for command in step.commands if type(command) is Fail for query_id in command.query_ids}
        for launch in step.ended:
            begun = self._begun.pop(launch.id, None)
            if begun is not None:
                failed = any(query_id in over for query_id in launch.query_ids)
                yield from self._slices(launch, begun[1], now_ns, "failed" if failed else "finished")
            elif now_ns in self._window:
                self.counts.never_began.update(range(launch.first_stage, launch.last_stage + 1))
        for launch in step.started:
            self._begun[launch.id] = launch, now_ns
        for command in step.commands:
            if type(command) is Deliver or type(command) is Fail:
                for query_id in command.query_ids:
                    yield from self._last(query_id)
        if now_ns in self._window:
            for done in step.operations:
                self.counts.operations[done.kind] += 1
                yield _instant(done.kind, _KINDS.index(done.kind) + 1, now_ns, _told(done))
            for command in step.commands:
                if type(command) is Fail:
                    yield _instant("failed", _NO_ANSWER, now_ns, {"queries": command.query_ids, "why": command.reason})
                elif type(command) is Reject:
                    told = {"queries": [command.query_id], "why": command.reason}
                    yield _instant("rejected", _NO_ANSWER, now_ns, told)
                elif type(command) is Forget:
                    yield _instant("cancelled", _NO_ANSWER, now_ns, {"queries": [command.query_id]})
            yield from self._counters(step)

    def _counters(self, step: Step) -> Iterator[Event]:
        share = sum(self._share(launch) for launch, _ in self._begun.values())
        values = {
            ("queries", "waiting to enter"): step.waiting,
            ("launches", "in flight"): len(self._begun),
            ("device", "share"): round(share, 6),
        }
        for (name, of_it), value in values.items():  # Perfetto calls a counter's track by both
            if self._known.get(name) != value:
                self._known[name] = value
                yield {
                    "ph": "C", "name": name, "pid": _BATCHING, "tid": 0, "ts": step.now_ns / 1e3, "args": {of_it: value}
                }  # fmt: skip

    def _share(self, launch: Launch) -> float:
        """The device share of a launch; of one that spans stages their mean, by the time that each takes."""
        rows, lane, profile = len(launch.query_ids), launch.lane, self._profile
        stages = range(launch.first_stage, launch.last_stage + 1)
        if len(stages) == 1:
            return profile.share(launch.first_stage, rows, lane)
        work = sum(profile.share(stage, rows, lane) * profile.stage_ns(stage, rows, lane) for stage in stages)
        return work / profile.span_ns(launch.first_stage, launch.last_stage, rows, lane)

    def _slices(self, launch: Launch, begin_ns: int, end_ns: int, outcome: str) -> Iterator[Event]:
        """A launch on every executor that it held, and the next points of its queries' flows."""
        if begin_ns not in self._window:
            return
        queries = list(launch.query_ids)
        told = {
            "launch": launch.id, "batch": launch.batch_id, "stages": [launch.first_stage, launch.last_stage],
            "lane": self._limits.lanes[launch.lane], "buffer_set": launch.place.buffer_set,
            "first_row": launch.place.first_row, "outcome": outcome, "queries": queries,
        }  # fmt: skip
        name = f"batch {launch.batch_id} of {len(queries)}"
        tracks = [(_process(stage), at + 1) for stage, at in enumerate(launch.executors, launch.first_stage)]
        for stage, (pid, tid) in enumerate(tracks, launch.first_stage):
            if tid > self._named[stage]:  # one that has taken the place of a lost one
                self._named[stage] = tid
                yield _meta(pid, tid, "thread_name", {"name": f"executor {tid - 1}"})
            self.counts.launches[stage] += 1
            yield {
                "ph": "X", "cat": "launch", "name": name, "pid": pid, "tid": tid,
                "ts": begin_ns / 1e3, "dur": (end_ns - begin_ns) / 1e3, "args": told,
            }  # fmt: skip
        inside_ns = max(begin_ns, end_ns - 1)  # at its end a slice is over
        for query_id in queries:
            yield from self._point(query_id, tracks[0], begin_ns)
            self._flows[query_id].append(_flow(query_id, tracks[-1], inside_ns))

    def _point(self, query_id: int, track: tuple[int, int], now_ns: int) -> Iterator[Event]:
        """Where a query's arrow goes next. The end of its last launch was not its end, and is left out."""
        before = self._flows.get(query_id)
        if before is None:
            self.counts.queries += 1
            if self.counts.queries > MAX_QUERIES:
                raise ReportError(
                    f"there are more than {MAX_QUERIES:,} queries to draw, which no viewer opens: take a part of the run, "
                    f"for example --from {self._window.begin_ns / 1e9:g} --until {now_ns / 1e9:.3f}"
                )
            yield {**_flow(query_id, track, now_ns), "ph": "s"}
            self._flows[query_id] = []
        else:
            before.clear()
            yield {**_flow(query_id, track, now_ns), "ph": "t"}

    def _last(self, query_id: int) -> Iterator[Event]:
        for point in self._flows.pop(query_id, ()):
            yield {**point, "ph": "f", "bp": "e"}

    def _names(self) -> Iterator[Event]:
        yield from _process_names(_BATCHING, "batching")
        for tid, name in enumerate((*_KINDS, "no answer"), 1):
            yield _meta(_BATCHING, tid, "thread_name", {"name": name})
        for stage in range(self._limits.stages):
            yield from _process_names(_process(stage), f"stage {stage}")
            for executor in range(self._limits.executors_per_stage):
                yield _meta(_process(stage), executor + 1, "thread_name", {"name": f"executor {executor}"})


def _process(stage: int) -> int:
    return _BATCHING + 1 + stage


def _told(done: Done) -> dict[str, Any]:
    """An operation's facts, as far as it has them."""
    told: dict[str, Any] = {"batch": done.batch, "stage": done.stage, "queries": done.members}
    if done.tail is not None:
        told |= {"tail": done.tail, "tail_queries": done.others}
    return told | ({"parts": done.parts} if done.parts else {})


def _instant(name: str, tid: int, now_ns: int, told: dict[str, Any]) -> Event:
    return {
        "ph": "i", "s": "t", "cat": "batching", "name": name, "pid": _BATCHING, "tid": tid, "ts": now_ns / 1e3, "args": told
    }  # fmt: skip


def _flow(query_id: int, track: tuple[int, int], now_ns: int) -> Event:
    pid, tid = track
    return {"cat": "query", "name": "query", "id": query_id, "pid": pid, "tid": tid, "ts": now_ns / 1e3}


def _process_names(pid: int, name: str) -> Iterator[Event]:
    yield _meta(pid, 0, "process_name", {"name": name})
    yield _meta(pid, 0, "process_sort_index", {"sort_index": pid})


def _meta(pid: int, tid: int, name: str, told: dict[str, Any]) -> Event:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "ts": 0, "args": told}
